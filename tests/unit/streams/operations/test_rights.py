"""The rights that processes and commands need at the brokers, and the message about missing ones."""

import pytest

from tally.schemas.topics import Names
from tally.streams.operations.rights import NOT_SAID, in_words, lacking
from tally.streams.operations.rights_needed import PROCESSES, Operation, Right, command_of, rights_of
from tally.streams.settings import load

NAMES = Names("p-", 2)
ALL_ROLES = ("route", "fold", "sink", "view")
EVERYTHING = sum(1 << operation for operation in Operation)


def allowed(kind: str, bits: int) -> dict[str, int]:
    return {one.name: bits for one in rights_of(ALL_ROLES, NAMES) if one.kind == kind}


@pytest.mark.parametrize("bits", [EVERYTHING, NOT_SAID])
def test_who_may_do_all_or_is_told_nothing_lacks_nothing(bits: int) -> None:
    wanted = rights_of(ALL_ROLES, NAMES)
    assert lacking(wanted, allowed("topic", bits), allowed("group", bits)) == []


def test_each_missing_right_is_named_with_what_it_is_on_and_who_lacks_it() -> None:
    topics, groups = allowed("topic", EVERYTHING), allowed("group", EVERYTHING)
    topics |= {"p-facts-g2": EVERYTHING & ~(1 << Operation.WRITE), "p-numbers": 0}
    groups |= {"p-tally-g2-fold": 0}

    found = lacking(rights_of(ALL_ROLES, NAMES), topics, groups)

    login = {"kafka_security": "SASL_SSL", "kafka_username": "anna", "kafka_password": "x"}
    assert in_words(load({}, **login), found) == (
        "anna lacks Read on group p-tally-g2-fold, Write on topic p-facts-g2, Read on topic p-numbers:"
        " grant what is missing (docs/running.md, Rights)"
    )


def test_a_process_needs_no_more_than_its_roles_do() -> None:
    reads = {one.name for one in rights_of(["view"], NAMES) if one.operation is Operation.READ}
    assert reads == {"p-tally-g2-counters", "p-api-keys", "p-numbers", "p-reports"}
    only_workers = [one for who in ("view", "route") for one in rights_of([who], NAMES)]
    assert not [one for one in only_workers if one.kind == "transactional id"]
    assert not [one for one in rights_of(["view"], NAMES) if one.operation is Operation.WRITE]
    assert {one.name for one in rights_of(["gateway"], NAMES) if one.operation is Operation.WRITE} == {
        "p-webhook-events",
        "p-send-results",
        "p-campaigns",
        "p-reports",
    }


def test_what_a_stronger_right_implies_is_not_asked_for() -> None:
    found = set(rights_of(PROCESSES, NAMES))
    assert Right("topic", "p-numbers", Operation.READ) in found
    assert Right("topic", "p-numbers", Operation.DESCRIBE) not in found
    assert Right("topic", "p-numbers", Operation.ALTER_CONFIGS) in found
    assert Right("topic", "p-numbers", Operation.DESCRIBE_CONFIGS) not in found


@pytest.mark.parametrize(
    ("path", "options", "wanted"),
    [
        ("dead-letters list", (), "dead-letters"),
        ("dead-letters replay", ("dry",), "dead-letters replay"),
        ("audit", (), "audit"),
        ("audit", ("json", "raw"), "audit --raw"),
        ("audit", ("every",), "audit --every"),
        ("audit", ("every", "raw"), "audit --every --raw"),
        ("topics declare", ("alter",), "topics declare --alter"),
        ("keys add", (), "keys"),
        ("migrate up", (), None),
    ],
)
def test_a_call_of_the_command_line_is_found_in_the_list(
    path: str, options: tuple[str, ...], wanted: str | None
) -> None:
    assert command_of(path, options) == wanted
