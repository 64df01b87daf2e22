"""What a column's name says: which words stand in it, and which roles they suggest."""

from __future__ import annotations

import re
from functools import cache

_SPLIT = re.compile(r"[^0-9A-Za-z]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PERSON = r"(subscriber|subs|msisdn|imsi|user|customer|cust|account|acct|person|client|uid"
_PERSON += r"|member|patient|employee|student|individual|caller|owner|a_?(number|party))"
_SUFFIX = r"(_(id|ids|uid|uuid|guid|key|hash|no|nr|number|code|ref|name|file|anon))?$"
_UNIT = r"(device|phone|handset|imei|sim|terminal|vehicle|trace|node|element|system|machine|host"
_UNIT += r"|sequence|seq|subject|entity|session|trip|household|key)"
_OTHER = r"(correspondent|counterpart|counterparty|contact|peer|callee|called|receiver|recipient"
_OTHER += r"|destination|dest|other|b_?(number|party)|called_number|to|partner|friend|identifier)"
_NOT_A_KEY = r"(cell|site|antenna|tower|bts|enb|gnb|lac|tac|cgi|location|area|event|template|line"
_NOT_A_KEY += r"|log|row|index|record|type|class|category|app|application|url|domain|product"
_NOT_A_KEY += r"|plan|status|version|error|channel|message|ip)"
_TIME = r"(time|timestamp|ts|date|datetime|day|created|updated|started|ended|start|end|at|when"
_TIME += r"|epoch|stamp|since|until)"
_CODE = r"(id|ids|code|class|type|category|cat|kind|flag|status|state|zip|postcode|mcc|mnc|lac|tac"
_CODE += r"|cell|cellid|cgi|eci|ecgi|sector|site|antenna|tower|pid|tid|channel|earfcn|region|label)"
_MAYBE_CODE = r"(area|net|unit|port|band|segment|group|zone|model|version|number|no|nr|mode|plan)"
_OWN = r"(session|sess|trip|trajectory|track|journey|ride|visit|call|leg|conversation|dialog|flow"
_OWN += r"|device|handset|phone|terminal|sim|iccid|imsi|imei|msisdn|line)"
_AMOUNT = r"(count|sum|total|amount|of|per|avg|mean|n|length|size|share|rate|duration)"
_ID = r"(id|ids|uid|uuid|guid|key|number|msisdn|imsi|imei|hash|identifier|no)"


@cache
def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: `customerID` is customer, id."""
    return tuple(w.lower() for w in _SPLIT.split(name) if w)


@cache
def _flat(name: str) -> str:
    joined = "_".join(words(name))
    return re.sub(r"(user|cust|customer|subscriber|cell|device|person|seq)id$", r"\1_id", joined)


def _has(pattern: str, name: str) -> bool:
    return bool(re.search(rf"(^|_){pattern}(_|$)", _flat(name)))


def key_strength(name: str) -> int:
    """How much a name sounds like a subject: 3 a person, 2 a unit, 1 a unit without "id", 0 not.

    The word for it must stand last, but for an "id": `user_id` is one, `user_age` is not.
    """
    if _has(_NOT_A_KEY, name) or other_party(name):
        return 0
    flat = _flat(name)
    if re.search(rf"(^|_){_PERSON}{_SUFFIX}", flat):
        return 3
    if re.search(rf"(^|_){_UNIT}{_SUFFIX}", flat):
        return 1 if re.search(rf"(^|_){_UNIT}$", flat) else 2
    return 0


def other_party(name: str) -> bool:
    """Whether a name sounds like the other party of a contact."""
    return _has(_OTHER, name)


def is_time(name: str) -> bool:
    """Whether a name sounds like a time."""
    return _has(_TIME, name)


def is_code(name: str) -> bool:
    """Whether numbers under this name are names rather than amounts."""
    return _has(_CODE, name) and not _has(_AMOUNT, name)


def may_be_code(name: str) -> bool:
    """Whether numbers under this name are names if they repeat a lot: `area` may be either."""
    return _has(_MAYBE_CODE, name) and not _has(_AMOUNT, name)


def is_id(name: str) -> bool:
    """Whether a name sounds like an id."""
    return _has(_ID, name)


def is_own_id(name: str) -> bool:
    """Whether numbers under this name may be ids within a subject: a session, a SIM."""
    if _has(_AMOUNT, name):
        return False
    own = re.search(rf"(^|_){_OWN}{_SUFFIX}", _flat(name))
    return bool(own) or is_code(name) or may_be_code(name) or is_id(name) or key_strength(name) > 0


def is_line_number(name: str) -> bool:
    """Whether a name sounds like a number of rows rather than of anything in them."""
    return _has(r"(line|row|index|idx|record)", name) or name.startswith("__index")


def place_pairs(names: list[str]) -> dict[str, str]:
    """Columns of latitudes and the columns of longitudes that belong to them, by name."""
    lats = {_rest(n, {"lat", "latitude"}): n for n in names}
    lons = {_rest(n, {"lon", "lng", "long", "longitude"}): n for n in names}
    return {lats[r]: lons[r] for r in lats if r is not None and r in lons}


def _rest(name: str, wanted: set[str]) -> tuple[str, ...] | None:
    found = words(name)
    return tuple(w for w in found if w not in wanted) if wanted & set(found) else None
