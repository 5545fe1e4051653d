"""The attempts of campaigns, as the recount in SQL counts them: outcomes, templates, contacts."""

import pytest

from tests.integration.recount.judge import Recount, pick
from tests.support.whatsapp_events import NOW, contact, send, status, template


def test_no_events_are_no_rows(recount: Recount) -> None:
    assert recount().everything == ([], [])


def test_queued_counts_only_while_nothing_else_is_known(recount: Recount) -> None:
    stats = recount(send("queued", contact={"id": "a"}), send("queued", contact={"id": "b"}), send("skipped"))

    assert pick(stats["c1"], "contacts", "attempts", "queued", "skipped") == (2, 2, 1, 1)


@pytest.mark.parametrize(
    ("outcomes", "counted"),
    [
        (("queued", "skipped"), "skipped"),
        (("skipped", "cancelled"), "cancelled"),
        (("cancelled", "failed"), "failed_at_send"),
        (("failed", "accepted"), "accepted"),
    ],
)
def test_an_attempt_is_its_highest_ranked_outcome(
    recount: Recount, outcomes: tuple[str, str], counted: str
) -> None:
    stats = recount(
        *(send(one, "w1" if one == "accepted" else None, NOW - n) for n, one in enumerate(outcomes))
    )

    names = ("queued", "skipped", "cancelled", "failed_at_send", "accepted")
    assert {name: int(name == counted) for name in names} == {name: stats["c1"][name] for name in names}
    assert ({"meta:132000": 1} if counted == "failed_at_send" else {}) == stats["c1"]["errors"]


def test_a_contact_goes_to_the_template_of_its_latest_attempt(recount: Recount) -> None:
    stats = recount(
        send("failed", at=NOW + 9, template=template("first")),
        send("queued", at=NOW, template=template("first")),
        send(message_id="w2", at=NOW + 5, attempt=2, template=template("second")),
    )

    assert pick(stats.templates["c1", "first"], "contacts", "attempts", "accepted", "failed") == (0, 1, 0, 1)
    assert pick(stats.templates["c1", "second"], "contacts", "attempts", "accepted", "failed") == (1, 1, 1, 0)
    assert pick(stats["c1"], "contacts", "attempts", "accepted", "failed") == (1, 2, 1, 1)


def test_of_attempts_of_the_same_time_the_largest_as_text_is_the_latest(recount: Recount) -> None:
    stats = recount(
        send("failed", attempt=10, template=template("ten")),
        send("failed", attempt=2, template=template("two")),
    )

    assert (stats.templates["c1", "ten"]["contacts"], stats.templates["c1", "two"]["contacts"]) == (0, 1)


def test_where_results_of_one_attempt_differ_the_template_of_the_highest_ranked_outcome_counts(
    recount: Recount,
) -> None:
    stats = recount(
        send("queued", template=template("a")),
        send("failed", template=template("z")),
        send("failed", template=template("b")),
    )

    assert {("c1", "b")} == set(stats.templates)


def test_a_second_message_of_one_attempt_is_a_message_and_no_attempt(recount: Recount) -> None:
    stats = recount(send(message_id="w1"), send(message_id="w2"), send(message_id="w2"), status("w2", "read"))

    names = ("contacts", "attempts", "accepted", "duplicates", "read", "contacts_accepted")
    assert pick(stats["c1"], *names) == (1, 1, 2, 1, 1, 1)


def test_free_form_is_the_empty_name_and_a_star_is_a_template(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", template=None),
        send(message_id="w2", template=template("*"), contact=contact("b")),
        send(message_id="w3", contact=contact("c")),
    )

    assert {("c1", ""), ("c1", "*"), ("c1", "promo")} == set(stats.templates)
    assert stats["c1"]["accepted"] == 3
