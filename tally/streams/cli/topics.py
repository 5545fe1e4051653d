"""`tally topics`: declares topics and shows their state."""

import asyncio
from typing import Annotated

import typer
from aiokafka.errors import KafkaError

from tally.streams.cli.output import Json, console, fail, in_words, print_json, print_table
from tally.streams.operations import topics
from tally.streams.operations.asyncapi import asyncapi
from tally.streams.operations.rights_needed import PROCESSES, kafka_acls, rights_of
from tally.streams.operations.topic_problems import Wanted
from tally.streams.settings import load

app = typer.Typer(
    help="Declare the topics, and compare the brokers' with what Tally needs.", no_args_is_help=True
)


@app.command()
def declare(
    alter: Annotated[bool, typer.Option("--alter", help="set unfit configurations right, too")] = False,
) -> None:
    """Create the topics that are missing, and compare the others with what Tally needs.

    A worker does this when it starts. Exit code 1 where one is unfit. Partitions and replicas are never
    changed: of the facts log and changelogs the first would break the numbers, the second is for whoever runs
    the brokers.
    """
    settings = load()
    try:
        done = asyncio.run(topics.declare(settings, mend=alter))
    except (KafkaError, TimeoutError, topics.TopicsError) as error:
        fail(in_words(error))
    for name in done.created:
        console.print(f"created {name}", highlight=False)
    for name in done.altered:
        console.print(f"altered {name}", highlight=False)
    if not done.created and not done.altered:
        console.print("all topics were there, as they must be", highlight=False)


@app.command("asyncapi")
def describe() -> None:
    """Print what stands in each topic, who writes it and how it is kept, as AsyncAPI 3.0. Asks no broker."""
    settings = load()
    min_insync = Wanted(settings.replication_factor, settings.partitions).min_insync
    print_json(asyncapi(settings.names, topics.wanted(settings), min_insync))


@app.command()
def show(json: Json = False) -> None:
    """Show every topic as it is. Exit code 1 if one is missing or unfit."""
    settings = load()
    try:
        states = asyncio.run(topics.states(settings))
    except (KafkaError, TimeoutError) as error:
        fail(in_words(error))
    if json:
        print_json(
            [{"topic": s.topic.name, "partitions": s.partitions, "problems": s.problems} for s in states]
        )
    else:
        print_table(
            ("topic", "partitions", "kept", "problems"),
            [
                (s.topic.name, str(s.partitions or "-"), _kept(s.topic.retention_ms), "; ".join(s.problems))
                for s in states
            ],
        )
    if any(state.problems for state in states):
        raise typer.Exit(1)


@app.command("rights")
def show_rights(
    who: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WHO]...", help="roles of a worker, or commands such as 'audit --raw'"),
    ] = None,
    principal: Annotated[
        str, typer.Option(help="print what gives them to this user, such as User:tally-gateway")
    ] = "",
) -> None:
    """Show the rights at the brokers that processes and commands need, with the names of these settings.

    With --principal as calls of Kafka's own `kafka-acls`, one for each topic, group or transactional id.
    """
    settings = load()
    chosen = who or list(PROCESSES)
    if unknown := [one for one in chosen if one not in PROCESSES]:
        fail(f"no rights are listed of {', '.join(unknown)}; there are {', '.join(PROCESSES)}", code=2)
    if principal:
        for line in kafka_acls(rights_of(chosen, settings.names), settings.kafka_bootstrap, principal):
            console.print(line, highlight=False, soft_wrap=True)
        return
    print_table(
        ("who", "right"),
        [(one, str(right)) for one in chosen for right in rights_of([one], settings.names)],
    )


def _kept(retention_ms: int | None) -> str:
    return "compacted" if retention_ms is None else f"{retention_ms // 86_400_000} days"
