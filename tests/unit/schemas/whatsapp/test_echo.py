"""Echoes of the phone app settle their messages' statuses as those of service messages."""

import random
from typing import Any

import pytest

from tally.schemas.facts import Claim, Claimed, CustomerSeen, MessageFact, StatusSeen
from tally.schemas.fields import message_identifier
from tally.schemas.keys import Template
from tally.schemas.wamids import message_key
from tally.schemas.whatsapp.full import read_webhook
from tally.tables.families.message import MessageFamily
from tally.tables.rules import Rules
from tests.support.webhooks import NUMBER, body, messages

FAMILY = MessageFamily()
AT_S = 1_750_030_099
KEY = message_key(NUMBER, "wamid.e")
ECHO = Claim(AT_S * 1000)
SERVICE = Claim(AT_S * 1000 + 5_000, "t1")
SENT = Claim(AT_S * 1000 + 9_000, "t1", "c1", "8", "1", Template("promo", "nl"))


def echo(**fields: Any) -> dict[str, Any]:
    return {"id": "wamid.e", "to": "16505551234", "timestamp": str(AT_S), "type": "text"} | fields


def hook(field: str, *echoes: Any) -> bytes:
    return body(messages(message_echoes=list(echoes)) | {"field": field})


@pytest.mark.parametrize("field", ["smb_message_echoes", "message_echoes", "messages"])
def test_an_echo_claims_its_message_for_nobody_and_names_its_recipient(field: str) -> None:
    routed = read_webhook(hook(field, echo(to_user_id="US.1")))

    claimed, seen = (keyed.fact for keyed in routed.facts)
    assert (routed.facts[0].key, claimed) == (KEY, Claimed(ECHO))
    assert seen == CustomerSeen([message_identifier(KEY), b"p16505551234", b"uUS.1"])
    assert not routed.bad


def test_an_echo_in_another_field_is_nothing() -> None:
    assert not read_webhook(hook("history", echo())).facts


@pytest.mark.parametrize(
    ("bad", "where", "facts"),
    [
        ({"id": None}, "missing_field at {}.id", 0),
        ({"timestamp": "soon"}, "bad_time at {}.timestamp", 0),
        ({"to": 7}, "wrong_type at {}.to", 1),
        ({"to_user_id": ["x"]}, "wrong_type at {}.to_user_id", 2),
    ],
)
def test_a_bad_part_of_an_echo_costs_itself(bad: dict[str, Any], where: str, facts: int) -> None:
    routed = read_webhook(hook("smb_message_echoes", echo(**bad), "x", echo(id="wamid.f")))

    path = "$.entry[0].changes[0].value.message_echoes[{}]"
    places = [where.format(path.format(0)), f"wrong_type at {path.format(1)}"]
    assert [one.where for one in routed.bad] == places
    assert len(routed.facts) == facts + 2


@pytest.mark.parametrize("seed", range(5))
def test_an_echo_settles_statuses_and_takes_no_message_from_a_send_result(seed: int) -> None:
    facts: list[MessageFact] = [Claimed(ECHO), StatusSeen("read", AT_S + 1), Claimed(SERVICE), Claimed(SENT)]
    rng = random.Random(seed)

    for claims, holds in ((1, ECHO), (2, SERVICE), (3, SENT)):
        known = [facts[1], facts[0], *facts[2 : claims + 1]]
        state = FAMILY.merge(None, rng.sample(known, len(known)))
        assert state.claim == holds
        assert not FAMILY.waits(state)
        assert len(FAMILY.contribution(KEY, state, Rules())) == (holds is SENT)
    assert FAMILY.waits(FAMILY.merge(None, [facts[1]]))
    assert not FAMILY.named(KEY, Claimed(ECHO))
