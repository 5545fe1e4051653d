"""The simulated population: tenants, business numbers, campaigns and people, all drawn from a seed."""

from base64 import b64encode
from dataclasses import dataclass
from random import Random
from typing import Literal

Kind = Literal[
    "plain", "ninth_digit", "prefixed", "username", "scoped_only", "new_number", "new_user_id", "group"
]

KINDS: dict[Kind, int] = {
    "plain": 50,
    "ninth_digit": 20,  # Brazil: dialled with the ninth digit, known to Meta without
    "prefixed": 5,  # Mexico: dialled 52..., known to Meta as 521...
    "username": 10,  # sent to by phone, answers without one
    "scoped_only": 7,  # sent to by business-scoped id, phone unknown
    "new_number": 5,
    "new_user_id": 3,
    "group": 4,  # known by its id alone, where a person's phone stands
}
DAY_S = 86_400
CAMPAIGN_EVERY_S = 2 * DAY_S
ZONE_CODES = ("BR", "NL", "US", "MX")
MOBILE = ("316", "49151", "9198", "6281", "346", "278", "4477")
"""How numbers of mobile phones begin in several countries; eight digits follow."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much to simulate; a field `x_per_y` is the number of x for each y."""

    tenants: int = 2
    numbers_per_tenant: int = 2
    campaigns_per_tenant: int = 4
    contacts_per_campaign: int = 100
    voice_campaigns_per_tenant: int = 1
    calls_per_campaign: int = 60
    duplicate_share: float = 0.1
    bad_share: float = 0.02
    filled_in_share: float = 0.15  # of campaigns
    late_at_most_s: int | None = None  # None: records are shuffled, without any order


@dataclass(frozen=True, slots=True)
class BusinessNumber:
    """One business number, as webhooks name it."""

    waba_id: str
    phone_number_id: str
    display_phone_number: str


@dataclass(frozen=True, slots=True)
class Person:
    """A customer, or a group; the `later_` ids are valid after a change of number or user id."""

    kind: Kind
    dialled: str
    wa_id: str
    user_id: str
    parent_user_id: str | None
    later_wa_id: str
    later_user_id: str

    @property
    def hides_phone(self) -> bool:
        """Whether Meta leaves this person's phone number out of webhooks."""
        return self.kind in ("username", "scoped_only")


@dataclass(frozen=True, slots=True)
class Template:
    """A message template and how Meta charges for it."""

    name: str
    language: str
    category: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign; without templates its messages are free-form."""

    tenant: str | int
    campaign: str | int | None
    numbers: tuple[BusinessNumber, ...]
    templates: tuple[Template, ...]
    start_s: int
    recipients: tuple[tuple[str | int, Person], ...]
    filled_in: tuple[str, str] | None = None
    """A field of contacts, and what its producer fills in for a missing value; phones are always replaced."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant with everything that belongs to it."""

    tenant: str | int
    numbers: tuple[BusinessNumber, ...]
    people: tuple[Person, ...]
    campaigns: tuple[Campaign, ...]


def person(rng: Random, scope: int, serial: int) -> Person:
    """Return a person of one tenant; the phone depends on `serial` only, so tenants share phones, not ids."""
    kind = rng.choices(list(KINDS), weights=list(KINDS.values()))[0]
    local = f"8{serial:07d}"
    if kind == "group":
        return group(f"{scope}{local}")
    dialled, wa_id = {
        "ninth_digit": (f"+55539{local}", f"5553{local}"),
        "prefixed": (f"+5255{local}", f"52155{local}"),
    }.get(kind, (f"+{MOBILE[serial % len(MOBILE)]}{local}", f"{MOBILE[serial % len(MOBILE)]}{local}"))
    zone = rng.choice(ZONE_CODES)
    return Person(
        kind=kind,
        dialled=dialled,
        wa_id=wa_id,
        user_id=f"{zone}.{scope}{serial:010d}",
        parent_user_id=f"{zone}.ENT.{scope}{serial:010d}" if rng.random() < 0.3 else None,
        later_wa_id=f"317{local}",
        later_user_id=f"{zone}.{scope}9{serial:010d}",
    )


def group(local: str) -> Person:
    """Return a group, by digits of its own; it has no user id and no business number knows its phone."""
    name = "Y2FwaV9ncm91cDo" + b64encode(local.encode()).decode().rstrip("=")
    return Person("group", name, name, "", None, name, "")


def member(rng: Random, of: Person) -> Person:
    """Return one of the three people in a group, to whom nothing is sent alone."""
    local = f"319{sum(of.wa_id.encode()):05d}{rng.randrange(3)}"
    return Person("plain", f"+{local}", local, f"NL.9{local}", None, local, f"NL.9{local}")


TEMPLATES = (
    Template("promo_nov", "pt_BR", "marketing"),
    Template("promo_nov", "en-US", "marketing"),
    Template("order_update", "en_US", "utility"),
    Template("login_code", "nl", "authentication"),
    Template("*", "nl", "marketing_lite"),
    Template("aviso_açúcar", "pt_BR", "a_category_of_next_year"),
)


FILLED_IN = (("user_id", "0"), ("user_id", "gateway-7"), ("phone", "+0000000000"), ("wa_id", "unknown"))


def _campaign_id(rng: Random, nth: int) -> str | int:
    if nth % 2:
        return 4000 + nth  # the same ids in every tenant
    return f"{rng.getrandbits(32):08x}-7f7a-4a59-9d0e-{rng.getrandbits(48):012x}"


def _recipients(rng: Random, people: tuple[Person, ...], count: int) -> tuple[tuple[str | int, Person], ...]:
    picked = [
        (serial if serial % 3 else f"c-{serial}", people[serial])
        for serial in rng.sample(range(len(people)), count)
    ]
    twice = [(f"again-{contact}", someone) for contact, someone in picked if rng.random() < 0.02]
    return (*picked, *twice)


def tenant(rng: Random, nth: int, start_s: int, size: Size) -> Tenant:
    """Return the `nth` tenant; campaigns start two days apart, and most people are in several of them."""
    name: str | int = nth if nth % 3 == 2 else f"tenant-{nth}"
    numbers = tuple(
        BusinessNumber(f"10229012934{nth:02d}", f"1065403522{nth:02d}{i:02d}", f"155507838{nth % 10}{i % 10}")
        for i in range(size.numbers_per_tenant)
    )
    people = tuple(person(rng, nth + 1, serial) for serial in range(size.contacts_per_campaign * 3 // 2 + 1))
    campaigns = tuple(
        Campaign(
            tenant=name,
            campaign=_campaign_id(rng, i),
            numbers=numbers,
            templates=() if i % 4 == 3 else tuple(rng.sample(TEMPLATES, 3)),
            start_s=start_s + i * CAMPAIGN_EVERY_S,
            recipients=_recipients(rng, people, size.contacts_per_campaign),
            filled_in=rng.choice(FILLED_IN) if rng.random() < size.filled_in_share else None,
        )
        for i in range(size.campaigns_per_tenant)
    )
    return Tenant(name, numbers, people, campaigns)
