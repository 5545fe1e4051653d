"""A worker is as many processes as it is given, where its roles are enough for them."""

from itertools import chain, combinations, product

import pytest

from tally.streams.processes.split import name_of, split
from tally.streams.settings import ROLES

ROUTE, FOLD, WRITER, VIEW = ROLES


@pytest.mark.parametrize(
    ("processes", "made_of"),
    [
        (1, (ROLES,)),
        (2, ((ROUTE,), (FOLD, WRITER, VIEW))),
        (3, ((ROUTE,), (FOLD, WRITER), (VIEW,))),
    ],
)
def test_two_set_route_apart_and_three_the_view_as_well(
    processes: int, made_of: tuple[tuple[str, ...], ...]
) -> None:
    assert split(ROLES, processes, cores=1) == made_of


@pytest.mark.parametrize(
    ("roles", "cores", "processes"),
    [
        (ROLES, 1, 1),
        (ROLES, 2, 2),
        (ROLES, 64, 2),
        ((ROUTE, FOLD), 2, 2),
        ((ROUTE,), 2, 1),
        ((FOLD, WRITER, VIEW), 2, 1),
    ],
)
def test_without_a_number_route_is_apart_from_another_role_where_there_are_two_cores(
    roles: tuple[str, ...], cores: int, processes: int
) -> None:
    assert len(split(roles, None, cores)) == processes


@pytest.mark.parametrize(
    ("roles", "processes", "made_of"),
    [
        ((FOLD, WRITER, VIEW), 2, ((FOLD, WRITER), (VIEW,))),
        ((FOLD, WRITER, VIEW), 3, ((FOLD, WRITER), (VIEW,))),
        ((VIEW, ROUTE), 3, ((ROUTE,), (VIEW,))),
        ((VIEW,), 3, ((VIEW,),)),
        ((FOLD, WRITER), 3, ((FOLD, WRITER),)),
        ((ROUTE, ROUTE), 2, ((ROUTE,),)),
    ],
)
def test_of_fewer_roles_there_are_fewer_processes(
    roles: tuple[str, ...], processes: int, made_of: tuple[tuple[str, ...], ...]
) -> None:
    assert split(roles, processes, cores=2) == made_of


def test_every_role_is_in_one_process_and_none_is_empty() -> None:
    some = chain.from_iterable(combinations(ROLES, count) for count in range(1, len(ROLES) + 1))
    for roles, processes, cores in product(some, (None, 1, 2, 3), (1, 2)):
        made_of = split(roles, processes, cores)
        assert sorted(chain.from_iterable(made_of)) == sorted(roles)
        assert all(made_of)
        assert len(made_of) <= (processes or 2)


def test_a_process_has_the_name_that_its_roles_have_in_the_settings() -> None:
    assert name_of((FOLD, WRITER)) == f"{FOLD},{WRITER}"
