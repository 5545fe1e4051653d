"""Keys never meet by accident, and partitions are librdkafka's."""

from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.keys import RowKey, Template, join_parts, partition_of, split_parts

IDS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("/%2F*"), min_size=1)


@given(st.lists(IDS, min_size=1))
def test_joined_parts_come_apart_as_they_were(parts: list[str]) -> None:
    assert split_parts(join_parts(*parts)) == parts


@given(IDS, IDS, st.none() | st.builds(Template, st.just("") | IDS, st.just("") | IDS))
def test_a_row_key_read_back_is_the_same(tenant: str, campaign: str, template: Template | None) -> None:
    key = RowKey(tenant, campaign, template)

    assert RowKey.decode(key.encode()) == key


def test_the_partitioner_is_crc_32() -> None:
    """librdkafka's `consistent`; the check value of CRC-32 over 123456789 is cbf43926."""
    assert partition_of(b"123456789", 1 << 32) == 0xCBF43926
