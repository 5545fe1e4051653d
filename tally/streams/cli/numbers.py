"""`tally numbers`: which tenant owns a business number, and which ids are of one."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer
from aiokafka.errors import KafkaError

from tally.schemas.errors import BadEvent
from tally.schemas.numbers import UNREADABLE, Number
from tally.streams.cli.output import Json, console, fail, in_words, print_json, print_table
from tally.streams.operations import numbers
from tally.streams.settings import load

app = typer.Typer(
    help="Say whose a business number is, and which ids are of one: others' send results are refused.",
    no_args_is_help=True,
)

NumberId = Annotated[str, typer.Argument(help="Meta's phone_number_id")]
Found = TypeVar("Found")


def _asked(question: Coroutine[Any, Any, Found]) -> Found:
    try:
        return asyncio.run(question)
    except (KafkaError, TimeoutError) as error:
        fail(in_words(error))
    except BadEvent as error:
        fail(f"{error}; nothing was set", code=2)


@app.command("set")
def set_number(
    number_id: NumberId,
    tenant: Annotated[str, typer.Argument(help="whose it is")],
    name: Annotated[str | None, typer.Option(help="what people call it")] = None,
    successor_of: Annotated[
        str | None, typer.Option(help="the id that it had before: both are one number")
    ] = None,
    per_second: Annotated[
        int | None, typer.Option(help="messages a second that the provider lets it send, such as 80")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(help="the zone of its account, such as America/Sao_Paulo: rates go by its days"),
    ] = None,
) -> None:
    """Say whose a number is; send results of other tenants become dead letters `foreign_number`."""
    _asked(numbers.set_number(load(), number_id, Number(tenant, successor_of, name, per_second, timezone)))
    console.print(f"{number_id} is {tenant}'s", highlight=False, markup=False)


@app.command("remove")
def remove(number_id: NumberId) -> None:
    """Let a number be anybody's again."""
    _asked(numbers.remove_number(load(), number_id))
    console.print(f"{number_id} is anybody's", highlight=False, markup=False)


@app.command("list")
def list_numbers(json: Json = False) -> None:
    """List the numbers that are set; of one whose record cannot be read no send result counts."""
    found = sorted(_asked(numbers.all_numbers(load())).items())
    if json:
        print_json(
            [
                {
                    "phone_number_id": number_id,
                    "tenant": number.tenant or None,
                    "is_readable": number != UNREADABLE,
                    "successor_of": number.successor_of,
                    "name": number.name,
                    "per_second": number.per_second,
                    "timezone": number.timezone,
                }
                for number_id, number in found
            ]
        )
        return
    print_table(
        ("phone_number_id", "tenant", "successor of", "name", "messages/s", "timezone"),
        [(number_id, _tenant(one), *(str(said or "-") for said in _said(one))) for number_id, one in found],
    )


def _tenant(number: Number) -> str:
    return "unreadable" if number == UNREADABLE else number.tenant


def _said(number: Number) -> tuple[str | int | None, ...]:
    return number.successor_of, number.name, number.per_second, number.timezone
