"""The client of examples/, loaded as its user's own file."""

import importlib.util
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "examples" / "client.py"


def load_client() -> Any:
    """Return the client as a module."""
    spec = importlib.util.spec_from_file_location("client", FILE)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found
