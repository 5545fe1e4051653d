"""`tally down`: stop embedded servers that were left running."""

from pathlib import Path
from typing import Annotated

import typer

from tally.deploy.local import LocalCluster, LocalKafka, LocalPostgres
from tally.streams.cli.output import console


def down(
    folder: Annotated[Path, typer.Option(help="where the embedded servers keep their data")] = Path(".tally"),
) -> None:
    """Stop the embedded servers of a folder and of its demo, if some were left running."""
    for where in (folder, folder / "demo"):
        for kind in (LocalKafka, LocalCluster, LocalPostgres):
            server = kind.adopt(where)
            if server is not None:
                server.stop()
                console.print(f"stopped {server.name} of {where}", highlight=False)
