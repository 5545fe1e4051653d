"""Keys never meet by accident, and partitions are librdkafka's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.bounds import TEMPLATE
from tally.schemas.grains import RowKey
from tally.schemas.keys import (
    Template,
    bounded_name,
    bounded_template,
    join_parts,
    partition_of,
    split_parts,
)
from tests.support.languages import LANGUAGES

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


@pytest.mark.parametrize("character", ["a", "\u00e9", "\u4e2d", "\U0001f600"])
def test_a_templates_name_has_256_bytes_at_most_and_longer_ones_stay_apart(character: str) -> None:
    width = len(character.encode())
    fits = character * (TEMPLATE.most // width)

    assert bounded_name(fits) == fits
    assert bounded_name(fits[:-1]) == fits[:-1]
    longer = [bounded_name(character * count) for count in range(TEMPLATE.most // width + 1, 513)]
    assert len({*longer}) == len(longer)
    assert all(
        len(name.encode()) <= TEMPLATE.most and name.startswith(character * 55 + "~") for name in longer
    )


def test_no_key_of_a_row_is_longer_than_an_index_entry_of_postgres_may_be() -> None:
    wide = "\U0001f600"
    template = bounded_template(wide * 512, wide * 512)

    names = (wide * 128, wide * 128, template.name, template.language)

    assert sum(len(name.encode()) + 8 for name in names) < 2_704


@pytest.mark.parametrize(("written", "language"), LANGUAGES.items())
def test_a_language_is_as_meta_writes_it(written: str, language: str) -> None:
    assert bounded_template("promo", written) == Template("promo", language)
