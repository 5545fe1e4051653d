"""One module creates every client of the brokers, so all clients of a kind read and write alike."""

import ast
import inspect
from pathlib import Path

from aiokafka import AIOKafkaConsumer

import tally

SOURCES = Path(tally.__file__).parent
FACTORY = Path("tables/kafka/clients.py")
CLIENTS = {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient", "AIOKafkaClient"}
IN_A_GROUP = {"NotedCommits"}
"""The one class of our own: Faust's thread constructs it, with the arguments of the factory."""


def test_no_other_module_constructs_a_client() -> None:
    made = {
        (path, node.func.id)
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLIENTS
    }

    assert {path for path, _ in made} == {FACTORY}
    assert {name for _, name in made} == CLIENTS - {"AIOKafkaClient"}


def test_a_client_is_known_by_its_own_name_alone() -> None:
    named = [
        name
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiokafka")
        for name in node.names
        if name.name in CLIENTS and name.asname is not None
    ]
    modules = [node for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Attribute)]

    assert named == []
    assert [node.attr for node in modules if node.attr in CLIENTS] == []


def test_one_class_is_derived_from_a_client() -> None:
    derived = {
        node.name
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and {base.id for base in node.bases if isinstance(base, ast.Name)} & CLIENTS
    }

    assert derived == IN_A_GROUP


def test_what_readers_see_of_transactions_is_said_once() -> None:
    said = [
        path
        for path, tree in trees()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and node.value == "isolation_level")
        or (isinstance(node, ast.keyword) and node.arg == "isolation_level")
    ]

    assert said == [FACTORY]


def test_ends_are_high_watermarks_unless_a_reader_asks_for_what_is_committed() -> None:
    default = inspect.signature(AIOKafkaConsumer).parameters["isolation_level"].default

    assert default == "read_uncommitted"


def trees() -> list[tuple[Path, ast.Module]]:
    found = [(path.relative_to(SOURCES), ast.parse(path.read_text())) for path in SOURCES.rglob("*.py")]
    assert len(found) > 100
    return found
