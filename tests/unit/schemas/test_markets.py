"""Markets: the look-up by prefix says what phonenumbers says of whole numbers."""

import random
import time
import timeit

import pytest
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    COUNTRY_CODES_FOR_NON_GEO_REGIONS,
    SUPPORTED_REGIONS,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    example_number_for_type,
    format_number,
    region_code_for_number,
)

from tally.schemas import market_prefixes
from tally.schemas.markets import market, market_of, market_of_user
from tests.support.cpu import slowness
from tests.support.markets import derived, module

TYPES = sorted(set(PhoneNumberType.values()) - {PhoneNumberType.UAN, PhoneNumberType.UNKNOWN})
SHARED = [code for code, regions in COUNTRY_CODE_TO_REGION_CODE.items() if len(regions) > 1]
SAID_FOR = {"EH": "MA", "MF": "BL"}
"""Regions whose numbers look like a neighbour's, who comes first in phonenumbers."""
LOOK_UP_SECONDS = 1e-6


def dialled(number: PhoneNumber) -> str:
    return format_number(number, PhoneNumberFormat.E164).removeprefix("+")


def test_the_prefixes_are_those_of_the_pinned_data() -> None:
    with open(market_prefixes.__file__) as written:
        assert written.read() == module(derived())


@pytest.mark.parametrize("region", sorted(SUPPORTED_REGIONS))
def test_the_market_of_a_regions_example_numbers_is_the_region(region: str) -> None:
    examples = [number for kind in TYPES if (number := example_number_for_type(region, kind)) is not None]
    assert examples
    # Toll-free and premium numbers of North America are shared: whose they are, the whole number says.
    assert [market_of(dialled(number)) for number in examples] == list(map(region_code_for_number, examples))
    fixed = example_number_for_type(region, PhoneNumberType.FIXED_LINE)
    assert fixed is not None
    assert market_of(dialled(fixed)) == SAID_FOR.get(region, region)


@pytest.mark.parametrize("code", SHARED)
def test_any_number_of_a_shared_calling_code_has_the_region_that_phonenumbers_finds(code: int) -> None:
    chance = random.Random(code)
    known = 0
    for _ in range(4_000):
        national = chance.randrange(1, 10) * 10 ** (digits := chance.randrange(4, 10))
        number = PhoneNumber(code, national + chance.randrange(10**digits))
        region = region_code_for_number(number)
        if region is not None and dialled(number) != f"1310{str(national)[3:]}":
            known += 1
            assert market_of(dialled(number)) == region, dialled(number)
    assert known > 5


def test_every_area_code_of_north_america_is_of_one_region() -> None:
    for area in range(200, 1000):
        numbers = [PhoneNumber(1, area * 10_000_000 + rest) for rest in (2_345_678, 5_550_100, 9_870_000)]
        regions = {region for number in numbers if (region := region_code_for_number(number)) is not None}
        assert {market_of(dialled(number)) for number in numbers} == (regions or {"US"}), area


@pytest.mark.parametrize(
    ("phone", "region"),
    [
        ("4915112345678", "DE"),
        ("+49 (151) 123-456.78", "DE"),
        ("14165550100", "CA"),
        ("12125550100", "US"),
        ("18095550100", "DO"),
        ("15555550100", "US"),  # nobody has this area code
        ("77011234567", "KZ"),
        ("79161234567", "RU"),
        ("447400123456", "GB"),
        ("447781123456", "GG"),
        ("393381234567", "IT"),
        ("390669812345", "VA"),
        ("38349123456", "XK"),
        ("1", "US"),
        ("", ""),
        ("+", ""),
        ("0", ""),
        ("01511234567", ""),  # a national number says no region
        ("004915112345678", ""),
        ("999123456", ""),
        ("120363025246125486@g.us", ""),
        ("a contact", ""),
        ("٤٩١٥١١٢٣٤٥٦٧٨", ""),
    ],
)
def test_a_market_is_that_of_the_longest_known_prefix(phone: str, region: str) -> None:
    assert market_of(phone) == region


@pytest.mark.parametrize("code", COUNTRY_CODES_FOR_NON_GEO_REGIONS)
def test_a_calling_code_that_is_no_countrys_has_no_market(code: int) -> None:
    assert market_of(f"{code}12345678") == ""


@pytest.mark.parametrize(
    ("user_id", "region"),
    [
        ("US.13491208655302741918", "US"),
        ("BR.ENT.7", "BR"),
        ("br.7", "BR"),
        ("USA.7", ""),
        ("U.7", ""),
        ("13491208655302741918", ""),
        ("ÄÖ.7", ""),
        ("", ""),
    ],
)
def test_a_business_scoped_ids_market_is_its_first_two_letters(user_id: str, region: str) -> None:
    assert market_of_user(user_id) == region


def test_a_recipients_market_is_of_the_phone_before_the_business_scoped_id() -> None:
    assert market("4915112345678", "US.7") == "DE"
    assert market("", "US.7") == "US"
    assert market("a contact", "US.7") == "US"
    assert market("", "") == ""


@pytest.mark.alone
def test_a_look_up_takes_less_than_a_microsecond() -> None:
    phones = [f"49151{number:08}" for number in range(1_000)]

    def look_up() -> None:
        for phone in phones:
            market_of(phone)

    look_up()
    seconds = min(timeit.repeat(look_up, number=1, repeat=20, timer=time.process_time)) / len(phones)
    assert seconds < LOOK_UP_SECONDS * slowness()
