"""Rows of made-up campaigns and operators that add up, for pages to show."""

import random
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from tally.agents.view.model import View
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.operator_row import Membership, membership_counts
from tally.schemas.waiting import Caller, encode_since
from tally.tables.durations import bucket
from tests.support.view_rows import put, put_operator

TENANT = "acme & söhne"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\u202egnihtemos\u202c right to left",
    "a/b?c=d&e#f",
    "x" * 128,
    "ملخص الحملة",
    "%41 {x} ${y} \"quoted\" 'single'",
)
CODES = ("meta:131026", "meta:131049", "meta:130429", "meta:132000", "meta:131050", "other", "meta:other")
QUEUES = ("sales", "support", "<b>billing</b>", "late shift with a name that has no end " * 2)
NAMES = ("Anna", "Bilal", "Carmen", "Daan", "Esra", "Femke", "Gijs", "Hanna", "Ivo", "Jasmijn", "Karim")


class Names(Struct, frozen=True):
    """What things of a world are called."""

    titles: tuple[str, ...]
    """Of campaigns; without one half of them have none, and the others one with their id."""
    templates: tuple[str, ...]
    queues: tuple[str, ...]
    strangers: tuple[str, ...]
    """Operators beyond the first ones."""
    pauses: tuple[str, str]
    """Why operators pause."""


ODD = Names(
    (),
    ("promo_nov", "last_call", "a_template_with_a_rather_long_name_" * 3, "<script>alert(1)</script>"),
    QUEUES,
    (HOSTILE[0], "", HOSTILE[1]),
    ("lunch", "training <i>"),
)
"""Names that a page has to bear."""
PLAIN = Names(
    (
        "Black Friday, first wave",
        "Black Friday, second wave",
        "Basket reminder",
        "Renewal calls, north",
        "Opening of the new shop",
        "Autumn sale",
        "Black Friday, last call",
        "Renewal calls, south",
        "Delivery survey",
        "Loyalty points",
        "Winter tyres",
        "Win back, calls",
    ),
    ("promo_nov", "last_call", "order_ready", "survey_short"),
    ("sales", "support", "billing", "late shift"),
    ("Lena", "Mees", "Nora"),
    ("lunch", "training"),
)
"""Names as people give them."""


class MadeUp(Struct):
    """What was made: the counts of each row, and the number of the last transaction."""

    now_ms: int
    rows: dict[RowKey, Counter[str]] = {}
    spans: dict[str, tuple[int, int]] = {}
    """From when to when each campaign has been active."""
    transaction: int = 1
    names: Names = ODD
    times: int = 1
    """How many messages or calls each one stands for."""


def name_of(number: int, campaigns: int) -> str:
    """Return the name of a campaign of so many; of more than a few the first ones have hostile names."""
    return HOSTILE[number] if number < len(HOSTILE) and campaigns > 5 else f"campaign {number:03}"


def fill(
    view: View, rng: random.Random, campaigns: int, now_ms: int, names: Names = ODD, times: int = 1
) -> MadeUp:
    """Put so many campaigns of a tenant into a view, and operators; all counts are `times` as large."""
    world = MadeUp(now_ms, {}, {}, names=names, times=times)
    for number in range(campaigns):
        name = f"campaign {number:03}" if names.titles else name_of(number, campaigns)
        kind = "voice" if number % 4 == 3 else "whatsapp"
        if title := _title(names, number, name):
            _describe(world, name, title)
        for template in _templates(rng, number, names):
            _add(world, RowKey(TENANT, name, template), kind, rng, rng.choice((3, 60, 900, 40_000)))
        _write(view, world, name, kind, now_ms - (0 if number < 3 else number * rng.randrange(600_000)))
    _operators(view, rng, 12 if campaigns < 500 else 200, now_ms, names)
    for number in range(7):
        caller = Caller(TENANT, f"pbx0{number % 2}", rng.choice(names.queues), f"1795350000.{number}")
        view.apply(0, caller.encode(), encode_since(now_ms - rng.randrange(100_000)))
    return world


def _title(names: Names, number: int, campaign: str) -> str | None:
    if names.titles:
        again = number // len(names.titles)
        return names.titles[number % len(names.titles)] + (f" ({again + 1})" if again else "")
    return f"Wave {number} <b>of</b> {campaign}"[:120] if number % 2 else None


def _describe(world: MadeUp, campaign: str, title: str) -> None:
    own = world.rows.setdefault(RowKey(TENANT, campaign, None), Counter())
    said = {"name": title, "status": "running", "tag": "autumn"}
    own.update({f"description.{field}={value}": 1 for field, value in said.items()})
    own["description.planned=50000"] = 1


def move(view: View, world: MadeUp, rng: random.Random, now_ms: int, templates: int = 3) -> None:
    """Let some templates count more: a few of them, or all."""
    world.transaction += 1
    keys = list(world.rows)
    for key in rng.sample(keys, min(templates, len(keys))):
        if key.template is not None:
            kind = "voice" if "attempted" in world.rows[key] else "whatsapp"
            _add(world, key, kind, rng, 5)
            _write(view, world, key.campaign, kind, now_ms)


def _templates(rng: random.Random, number: int, names: Names) -> list[Template]:
    return [
        Template(name, rng.choice(("nl", "pt_BR", "en_US"))) for name in names.templates[: 1 + number % 4]
    ]


def _add(world: MadeUp, key: RowKey, kind: str, rng: random.Random, attempts: int) -> None:
    template = world.rows.setdefault(key, Counter())
    own = world.rows.setdefault(RowKey(key.tenant, key.campaign, None), Counter())
    one = _calls(rng, attempts, world.names.queues) if kind == "voice" else _messages(rng, attempts)
    added = Counter({name: world.times * number for name, number in one.items()})
    template.update(added)
    own.update({name: added[name] for name in ("contacts_accepted", "replied", "replied_last_touch")})


def _messages(rng: random.Random, attempts: int) -> Counter[str]:
    counts: Counter[str] = Counter(attempts=attempts, contacts=attempts - rng.randrange(attempts // 20 + 1))
    for _ in range(min(attempts, 200)):
        times = attempts // min(attempts, 200)
        outcome = rng.random()
        if outcome < 0.05:
            counts["failed_at_send"] += times
            counts[f"errors.{rng.choice(CODES)}"] += times
            continue
        if outcome < 0.09:
            counts[rng.choice(("skipped", "cancelled", "queued"))] += times
            continue
        counts["accepted"] += times
        counts["contacts_accepted"] += times
        if outcome < 0.14:
            counts["failed_after_send"] += times
            counts[f"errors.{rng.choice(CODES)}"] += times
            continue
        if outcome < 0.2:
            continue
        counts["sent"] += times
        counts["delivered"] += times
        counts["pricing.marketing/regular"] += times
        counts["pricing_delivered.marketing/regular"] += times
        counts[f"time_to_deliver.{bucket(rng.randrange(1, 90))}"] += times
        if outcome < 0.7:
            counts["read"] += times
            counts[f"time_to_read.{bucket(rng.randrange(1, 9000))}"] += times
        if outcome < 0.3:
            counts["replied"] += times
            counts["replied_last_touch"] += times
            counts["clicked"] += times
    counts["queued"] += attempts % min(attempts, 200)
    return counts


def _calls(rng: random.Random, attempts: int, queues: Sequence[str]) -> Counter[str]:
    counts: Counter[str] = Counter(attempts=attempts, contacts=attempts, requested=attempts, queued=attempts)
    outcomes = ("busy", "no_answer", "rejected", "unreachable", "congestion", "call_cancelled", "call_failed")
    for _ in range(min(attempts, 200)):
        times = attempts // min(attempts, 200)
        counts["attempted"] += times
        if rng.random() < 0.1:
            continue
        if rng.random() < 0.5:
            counts[rng.choice(outcomes)] += times
            counts[f"hangup_causes.{rng.choice((17, 19, 21, 34))}"] += times
            continue
        counts["answered"] += times
        counts["hangup_causes.16"] += times
        counts["connected_ms"] += times * rng.randrange(2_000, 200_000)
        if rng.random() < 0.3:
            counts["answered_machine"] += times
            continue
        counts["answered_human"] += times
        if rng.random() < 0.04:
            counts["dropped"] += times
            continue
        queue = rng.choice(queues)
        for name, value in (("joins", 1), ("wait_ms", 9_000), ("connects", 1), ("talk_ms", 65_000)):
            counts[f"queues.{queue}/{name}"] += times * value
        counts[f"queue_waits.{queue}/{rng.choice((3, 9, 24))}"] += times
        counts["queue_joins"] += times
        counts["queue_wait_ms"] += times * 9_000
        counts["connects"] += times
        counts["talk_ms"] += times * 65_000
    return counts


def _write(view: View, world: MadeUp, campaign: str, kind: str, last_ms: int) -> None:
    lasted_ms = (len(campaign) % 7 + 1) ** 2 * 3_600_000
    span = world.spans[campaign] = (world.spans.get(campaign, (last_ms - lasted_ms, 0))[0], last_ms)
    for key, counts in world.rows.items():
        if key.campaign == campaign:
            filled = {name: value for name, value in sorted(counts.items()) if value}
            put(view, key, filled, 0, world.transaction, span, channels=(kind,))


def _operators(view: View, rng: random.Random, number: int, now_ms: int, names: Names) -> None:
    for one in range(number):
        status = rng.choice((1, 1, 2, 2, 2, 4, 6))
        since_ms = now_ms - rng.randrange(1_000, 2_000_000)
        reason = rng.choice((None, None, None, *names.pauses)) if status == 1 else None
        wrapup = rng.random() < 0.2
        memberships = [
            Membership(queue, status, since_ms, 0, (now_ms // 1000 - 3) if wrapup else 0, 30, reason)
            for queue in rng.sample(names.queues, 1 + one % 3)
        ]
        strange = names.strangers[one % len(names.strangers)]
        name = strange if len(NAMES) <= one < 20 else NAMES[one % len(NAMES)]
        counts = membership_counts(name, memberships) | {"connects": 3, "talk_ms": 65_000}
        put_operator(view, TENANT, f"PJSIP/{200 + one}", counts)
