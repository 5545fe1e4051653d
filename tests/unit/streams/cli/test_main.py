"""The first page of help describes each command in full within 80 columns."""

from typer.testing import CliRunner

from tally.streams.cli.main import COMMANDS, application


def test_no_line_of_the_list_of_commands_is_cut() -> None:
    shown = CliRunner().invoke(application(), ["--help"], terminal_width=80)
    commands = shown.output.partition("Commands:")[2].splitlines()

    assert shown.exit_code == 0
    assert len([line for line in commands if line.strip()]) == len(COMMANDS)
    assert [line for line in commands if "..." in line] == []
