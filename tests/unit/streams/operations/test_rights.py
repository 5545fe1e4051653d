"""The rights that a worker needs at the brokers, and the message about missing ones."""

import pytest

from tally.schemas.topics import Names
from tally.streams.operations.rights import NOT_SAID, Operation, lacking, needed

NAMES = Names("p-", 2)
ALL_ROLES = ("route", "fold", "sink", "view")
READ, WRITE = (1 << operation for operation in Operation)


def everything(bits: int) -> tuple[dict[str, int], dict[str, int]]:
    wanted = needed(ALL_ROLES, NAMES)
    return dict.fromkeys(wanted.topics, bits), dict.fromkeys(wanted.groups, bits)


@pytest.mark.parametrize("bits", [READ | WRITE, NOT_SAID])
def test_who_may_do_all_or_is_told_nothing_lacks_nothing(bits: int) -> None:
    assert lacking(needed(ALL_ROLES, NAMES), *everything(bits)) == []


def test_each_missing_right_is_named_with_what_it_is_on() -> None:
    topics, groups = everything(READ | WRITE)
    topics |= {"p-facts-g2": READ, "p-numbers": WRITE}
    groups |= {"p-tally-g2-fold": 0}

    assert lacking(needed(ALL_ROLES, NAMES), topics, groups) == [
        "Write on topic p-facts-g2",
        "Read on topic p-numbers",
        "Read on group p-tally-g2-fold",
    ]


def test_a_process_needs_no_more_than_its_roles_do() -> None:
    view = needed(("view",), NAMES)

    reads = ("p-tally-g2-counters", "p-api-keys", "p-numbers")
    assert view.topics == {name: {Operation.READ} for name in reads}
    assert view.groups == frozenset()
    assert needed(("route",), NAMES).groups == {"p-tally-g2-route"}
    assert all(Operation.WRITE not in one for one in needed(("sink", "view"), NAMES).topics.values())
