"""Replies and presses of buttons, as the recount in SQL credits them."""

from tests.integration.recount.judge import Recount, pick
from tests.support.whatsapp_events import NOW, WEEK, contact, inbound, send


def test_the_reply_window_includes_both_ends_in_whole_seconds(recount: Recount) -> None:
    expected = {-1: 0, 0: 1, 1: 1, WEEK - 1: 1, WEEK: 1, WEEK + 1: 0, -31_536_000: 0}
    events = []
    for n, offset in enumerate(expected):
        sent = send(message_id=f"w{n}", campaign=offset, at=NOW + 0.999, contact=contact("a", f"31{n}"))
        events += [sent, inbound(NOW + offset, sender=f"31{n}")]
    stats = recount(*events)

    assert {offset: stats[str(offset)]["replied"] for offset in expected} == expected
    assert {offset: stats[str(offset)]["replied_last_touch"] for offset in expected} == expected


def test_types_that_are_replies_and_types_that_are_not(recount: Recount) -> None:
    media = ["image", "video", "audio", "document", "sticker"]
    replies = ["text", *media, "button", "interactive", "order", "location", "contacts"]
    others = ["reaction", "system", "unsupported", "unknown", "edit", "revoke", "call", "voice", "Text"]
    stats = recount(
        *(send(message_id=f"w-{n}", contact=contact(str(n), f"{n}")) for n in range(1, 31)),
        *(inbound(type=one, sender=f"{n}") for n, one in enumerate(replies + others, start=1)),
    )

    assert len(replies) == stats["c1"]["replied"]


def test_a_reply_credits_every_campaign_in_whose_window_it_falls_and_the_last_touch_only_the_latest(
    recount: Recount,
) -> None:
    stats = recount(
        send(message_id="w0", campaign="c0", at=NOW - WEEK),
        send(message_id="w1", campaign="c1", at=NOW),
        send(message_id="w2", campaign="c2", at=NOW + 100),
        send(message_id="w3", campaign="c3", at=NOW + 200),
        send(message_id="w4", campaign=None, at=NOW + 110),
        inbound(NOW + 150),
    )

    assert {n: r["replied"] for n, r in stats.campaigns.items()} == {"c0": 0, "c1": 1, "c2": 1, "c3": 0}
    touched = {name: row["replied_last_touch"] for name, row in stats.campaigns.items()}
    assert touched == {"c0": 0, "c1": 0, "c2": 1, "c3": 0}


def test_of_sends_in_one_second_the_largest_is_the_last_touch(recount: Recount) -> None:
    stats = recount(
        send(message_id="w9", campaign="c1", at=NOW + 0.9),
        send(message_id="w1", campaign="c2", at=NOW + 0.1),
        inbound(),
    )

    assert (stats["c1"]["replied_last_touch"], stats["c2"]["replied_last_touch"]) == (0, 1)


def test_each_reply_has_its_own_last_touch(recount: Recount) -> None:
    stats = recount(
        send(message_id="w1", campaign="c1"),
        send(message_id="w2", campaign="c2", at=NOW + 100),
        inbound(NOW + 50),
        inbound(NOW + 150),
    )

    assert (stats["c1"]["replied_last_touch"], stats["c2"]["replied_last_touch"]) == (1, 1)


def test_a_message_is_quoted_by_any_type_and_clicked_by_buttons_only(recount: Recount) -> None:
    quotes = ["text", "reaction", "interactive", "button", "button", "unsupported"]
    stats = recount(
        *(send(message_id=f"w{n}", contact=contact(f"{n}", f"{n}")) for n in range(8)),
        *(inbound(NOW - n, one, context={"id": f"w{n}"}) for n, one in enumerate(quotes)),
        inbound(NOW + 9, "button", context={"id": "w4"}),
        inbound(NOW + 9, "reaction", reaction={"message_id": "w6"}),
        inbound(NOW + 9, "button"),
        inbound(NOW + 9, "text", context={"forwarded": True}),
        inbound(NOW + 9, "text", context={"id": "w7"}, number="n2"),
    )

    assert pick(stats["c1"], "replied_quoted", "clicked") == (6, 2)
