"""What a frame of a stream holds, and that no viewer is ever shown an older row than before."""

from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tally.agents.view.frames import (
    KEPT_TICKS,
    Contents,
    Entry,
    Feed,
    Frame,
    Key,
    Vector,
    bye,
    compare,
    framed,
    read_vector,
)
from tally.agents.view.model import View
from tally.schemas.grains import RowKey
from tally.tables.pieces import at_once
from tests.support.view_rows import PROMO, put, put_progress

RECEIPT = {"state": "live"}
HELD = Vector(1, (5,))
VECTORS = st.builds(Vector, st.integers(0, 3), st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple))
NAMES = st.sampled_from(["a", "b", "c"])
LISTS = st.dictionaries(NAMES, st.integers(0, 2), max_size=3)


def holding(shown: Mapping[str, int], held: Vector = HELD, *, whole: bool = True) -> Contents:
    entries = {
        Key("campaigns", (name,)): Entry(b"%d" % number, orjson.dumps({"campaign": name, "n": number}))
        for name, number in shown.items()
    }
    return Contents(entries, held, held, whole, RECEIPT, {"campaigns": len(shown) > 2})


class Page:
    """A viewer that does what frames tell it."""

    def __init__(self) -> None:
        self.shown: dict[str, int] = {}
        self.has_more = False
        self.seen = 0

    def follow(self, feed: Feed) -> Frame:
        frame = feed.frame(self.seen)
        body = orjson.loads(frame.data)
        assert body["receipt"] == RECEIPT
        if frame.event == "snapshot":
            self.shown = {}
        for gone in body.get("campaigns_gone", ()):
            self.shown.pop(gone[0], None)  # it may have come and gone unseen
        for entry in body.get("campaigns", ()):
            self.shown[entry["campaign"]] = entry["n"]
        self.has_more = body.get("campaigns_more", self.has_more)
        self.seen = feed.tick
        return frame


@given(st.lists(LISTS, min_size=1, max_size=12), st.data())
def test_whoever_takes_frames_at_any_pace_shows_what_the_last_contents_were(
    looks: list[dict[str, int]], data: st.DataObject
) -> None:
    feed, pages = Feed(["campaigns"]), [Page() for _ in range(3)]
    for shown in looks:
        feed.show(holding(shown))
        for page in pages:
            if data.draw(st.booleans()):
                page.follow(feed)
                assert (page.shown, page.has_more) == (shown, len(shown) > 2)


@given(LISTS, LISTS)
def test_each_frame_says_where_the_campaign_stands_but_those_of_a_process_that_is_behind(
    shown: dict[str, int], later: dict[str, int]
) -> None:
    feed = Feed(["campaigns"])
    for number, entries in enumerate((shown, later, later)):
        feed.show(structs.replace(holding(entries), progress={"sent": number}))
        assert orjson.loads(feed.frame(feed.tick - 1).data)["progress"] == {"sent": number}
    assert "progress" not in orjson.loads(feed.frame(0, Vector(1, (6,))).data)
    feed.show(holding(later))
    assert "progress" not in orjson.loads(feed.frame(feed.tick - 1).data)


@given(LISTS, LISTS)
def test_a_frame_holds_what_has_changed_and_nothing_else(
    before: dict[str, int], after: dict[str, int]
) -> None:
    feed, page = Feed(["campaigns"]), Page()
    feed.show(holding(before))
    assert page.follow(feed).event == "snapshot"
    feed.show(holding(after))
    frame = page.follow(feed)
    body = orjson.loads(frame.data)
    changed = {name for name in after if after[name] != before.get(name)}
    if before == after:
        assert (frame.event, frame.id, body) == ("receipt", None, {"receipt": RECEIPT})
    else:
        assert (frame.event, frame.id) == ("change", "1-5")
        assert {entry["campaign"] for entry in body["campaigns"]} == changed
        assert {name for (name,) in body["campaigns_gone"]} == before.keys() - after.keys()


def test_viewers_at_the_same_tick_get_the_very_same_bytes() -> None:
    feed = Feed(["campaigns"])
    feed.show(holding({"a": 1}))
    assert feed.frame(0) is feed.frame(0)
    feed.show(holding({"a": 2}))
    assert feed.frame(1) is feed.frame(1)


def test_who_has_waited_too_long_to_be_told_what_is_gone_gets_a_snapshot() -> None:
    feed, page = Feed(["campaigns"]), Page()
    feed.show(holding({"a": 1}))
    page.follow(feed)
    for _ in range(KEPT_TICKS):
        feed.show(holding({"b": 1}))
    assert page.follow(feed).event == "snapshot"
    assert page.shown == {"b": 1}


def test_a_campaign_that_counts_nothing_is_null_and_so_is_one_that_is_gone() -> None:
    feed, key = Feed(["campaign"]), Key("campaign", ("c1",))
    there = Contents(
        {key: Entry(b"1", b'{"campaign":"c1"}')}, Vector(1, (1,)), Vector(1, (1,)), True, RECEIPT
    )
    for seen, entries, shown in ((0, {}, None), (1, there.entries, {"campaign": "c1"}), (2, {}, None)):
        feed.show(Contents(entries, there.held, there.reached, True, RECEIPT))
        assert orjson.loads(feed.frame(seen).data)["campaign"] == shown


@given(VECTORS)
def test_the_id_of_an_event_holds_its_vector(vector: Vector) -> None:
    assert read_vector(vector.text()) == vector


@pytest.mark.parametrize("text", ["", "1", "1-", "1-a", "-1-2", "1-2.", "1-2\n", "1-" + "9" * 19, "1-٣"])
def test_an_id_that_is_none_of_ours_says_nothing(text: str) -> None:
    assert read_vector(text) is None


def test_vectors_compare_by_partition_and_only_within_a_generation() -> None:
    held = Vector(2, (5, 5))
    for shown, how in (
        (None, "passed"),
        (Vector(2, (5, 5)), "passed"),
        (Vector(2, (0, 9)), "behind"),
        (Vector(1, (9, 9)), "passed"),
        (Vector(3, (0, 0)), "older"),
        (Vector(2, (9,)), "passed"),
    ):
        assert compare(held, shown) == how, shown


def test_a_process_that_is_behind_sends_receipts_that_say_so_and_have_no_id() -> None:
    feed = Feed(["campaigns"])
    feed.show(holding({"a": 1}))
    frame = feed.frame(0, Vector(1, (6,)))
    assert (frame.event, frame.id, orjson.loads(frame.data)) == (
        "receipt",
        None,
        {"receipt": {"state": "catching_up"}},
    )
    assert feed.frame(0, Vector(1, (5,))).event == "snapshot"
    assert feed.frame(0, Vector(2, (5,))) == bye("older_generation")


def test_before_all_tables_are_open_nothing_is_shown() -> None:
    feed = Feed(["campaigns"])
    feed.show(holding({"a": 1}, whole=False))
    assert feed.frame(0).event == "receipt"


def test_an_event_is_framed_as_the_standard_says() -> None:
    assert framed(Frame("snapshot", b"{}", "1-2.3"), 700) == (
        b"event: snapshot\nid: 1-2.3\nretry: 700\ndata: {}\n\n"
    )
    assert framed(bye("stopping")) == b'event: bye\ndata: {"reason":"stopping"}\n\n'


class Process:
    """A process that reads two partitions of a changelog, each at its own pace, record by record.

    Each transaction adds one to a campaign's contacts in its partition, or takes the row away, and is two
    records: the row and the progress. The fold's offset stands still, as in a recount.
    """

    def __init__(self) -> None:
        self.view = View(2)
        self.records = [0, 0]
        for partition in range(2):
            put_progress(self.view, partition, 1, seq=0)
            self.view.set_ready(partition)

    def read(self, partition: int) -> None:
        done, is_progress = divmod(self.records[partition], 2)
        self.records[partition] += 1
        if is_progress:
            put_progress(self.view, partition, 1, seq=done + 1)
        elif partition and done % 3 == 2:
            self.view.apply(partition, RowKey("t1", "c1", PROMO).encode(), None)
        else:
            put(self.view, RowKey("t1", "c1", PROMO), {"contacts": done + 1}, partition)

    def versions(self) -> tuple[int, ...]:
        """How many rows of each partition were read: what a viewer is shown grows with it."""
        return tuple((records + 1) // 2 for records in self.records)

    def contents(self) -> Contents:
        held = Vector(1, self.view.whole_seqs())
        shown = self.view.find("t1", "c1")
        digest = b"" if shown is None else at_once(shown.looking(with_totals=False)).version
        entry = Entry(digest, orjson.dumps(self.versions()))
        return Contents(
            {Key("campaign", ("c1",)): entry}, held, Vector(1, self.view.reached_seqs()), True, RECEIPT
        )


@given(st.lists(st.one_of(st.tuples(st.integers(0, 1), st.integers(0, 1)), st.integers(0, 1)), max_size=60))
def test_no_frame_of_any_process_holds_an_older_row_than_one_already_shown(
    steps: list[tuple[int, int] | int],
) -> None:
    processes = [Process(), Process()]
    feeds = [Feed(["campaign"]), Feed(["campaign"])]
    at, seen = 0, 0
    shown: Vector | None = None
    newest = (0, 0)
    for step in steps:
        if isinstance(step, tuple):
            processes[step[0]].read(step[1])
            continue
        if step != at:  # cut, and back at the other one
            at, seen = step, 0
        feed = feeds[at]
        feed.show(processes[at].contents())
        frame = feed.frame(seen, shown)
        if frame.id is None:
            continue
        seen, shown = feed.tick, read_vector(frame.id)
        versions = tuple(orjson.loads(frame.data)["campaign"])
        assert all(map(int.__ge__, versions, newest)), "a number went back"
        newest = versions
