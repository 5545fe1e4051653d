"""The fixed lists that bound open-ended keys; what is not listed counts under `other`.

Sources: Meta's error-code page and its On-Premises predecessor; Meta's status webhook reference for
pricing categories and types. Meta uses codes from 130000 to 139999 before that page lists them, so all of
them have keys. The raw value stays in the state.
"""

OTHER = "other"
UNKNOWN = "unknown"

_CLOUD_API = (
    *(0, 1, 2, 3, 4, 10, 33, 100, 190, *range(200, 300), 368, 613, 80007),
    *range(130_000, 140_000),
    *(2388001, 2388012, 2388039, 2388040, 2388047, 2388072, 2388073, 2388091, 2388093, 2388103),
    *(2494010, 2494013, 2494100, 2494102),
)
_ON_PREMISES = (400, 401, 402, 404, 405, 408, 410, 420, 429, 430, 432, 433, 470, 471, 472, 480, 500, 501, 502)
_ON_PREMISES_API = (*range(1000, 1042), *range(2000, 2066))

META_ERROR_CODES: frozenset[str] = frozenset(map(str, (*_CLOUD_API, *_ON_PREMISES, *_ON_PREMISES_API)))
ERROR_CODES: dict[str, frozenset[str]] = {
    "meta": META_ERROR_CODES,
    "platform": frozenset(),
    "pbx": frozenset(map(str, range(128))),  # Q.850 causes
}

HANGUP_CAUSES: frozenset[str] = ERROR_CODES["pbx"]

PRICING_CATEGORIES: frozenset[str] = frozenset(
    {
        *("authentication", "authentication_international", "authentication-international"),
        *("marketing", "marketing_lite", "utility", "service", "referral_conversion"),
        *("group_marketing", "group_utility", "group_service"),
        *("user_initiated", "business_initiated"),
    }
)
PRICING_TYPES: frozenset[str] = frozenset({"regular", "free_customer_service", "free_entry_point"})

PLACEHOLDERS: frozenset[bytes] = frozenset(
    {b"anonymous", b"n/a", b"nan", b"nil", b"none", b"null", b"undefined", b"unknown"}
)
"""What programs write in place of a phone or user id that they do not know, in lower case."""


def is_placeholder(written: bytes) -> bool:
    """Return whether a phone or user id is written like none: zeros alone, or one of the placeholders."""
    return not written.strip(b"0") or written.lower() in PLACEHOLDERS


def error_key(raw: str | None) -> str:
    """Return the counted key of a raw `source:code`; `other` for a failure that names none."""
    if raw is None:
        return OTHER
    source, _, code = raw.partition(":")
    return raw if code in ERROR_CODES[source] else f"{source}:{OTHER}"


def cause_key(cause: int) -> str:
    """Return the counted key of a hang-up cause (Q.850)."""
    return _listed(str(cause), HANGUP_CAUSES)


def pricing_key(category: str, kind: str) -> str:
    """Return the counted `category/type` of a pricing; a missing part is `unknown`."""
    return f"{_listed(category, PRICING_CATEGORIES)}/{_listed(kind, PRICING_TYPES)}"


def _listed(value: str, listed: frozenset[str]) -> str:
    if not value:
        return UNKNOWN
    return value if value in listed else OTHER
