"""The descriptions of the read API and the gateway: valid, whole, and with examples that fit."""

import re
from itertools import chain
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tally.streams.gateway import described
from tally.streams.gateway.process import PATHS
from tally.streams.web import log_in, routes
from tally.streams.web.openapi import JSON, Json
from tally.streams.web.parameters import PATH_PARAMETERS
from tests.support.described import Described

VIEW, GATEWAY = routes.description().document, described.description().document
BOTH = pytest.mark.parametrize("document", [VIEW, GATEWAY], ids=["view", "gateway"])


def operations(document: Json) -> list[tuple[str, str, Json]]:
    return [(path, method, one) for path, ways in document["paths"].items() for method, one in ways.items()]


@BOTH
def test_the_description_is_valid(document: Json) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    broken = document | {"paths": {"/x": {"get": {"responses": {"200": {}}}}}}
    assert list(OpenAPIV31SpecValidator(broken).iter_errors()), "the validator sees what is wrong"


@BOTH
def test_every_schema_is_valid_and_every_reference_leads_somewhere(document: Json) -> None:
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        for reference in references(schema):
            found: Any = document
            for part in reference.removeprefix("#/").split("/"):
                assert part in found, f"{name} refers to {reference}"
                found = found[part]


def references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [found for one in part for found in references(one)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    return own + [found for one in part.values() for found in references(one)]


def test_the_view_describes_every_endpoint_with_the_type_of_its_answer() -> None:
    assert set(VIEW["paths"]) == {one.path for one in routes.ROUTES}
    for one in routes.ROUTES:
        for name in re.findall(r"\{(\w+)\}", one.path):
            assert name in PATH_PARAMETERS, (
                f"endpoint {one.name}: say in PATH_PARAMETERS of streams/web/parameters.py what {{{name}}} is"
            )
        assert one.answer is not None or one.media_type != JSON, (
            f"endpoint {one.name}: answers JSON, so it needs a type of its answer: a msgspec Struct, "
            "beside its handler as those in streams/web/queues.py"
        )
    names = [one["operationId"] for _, _, one in operations(VIEW)]
    assert len(set(names)) == len(names)


def test_the_gateway_describes_every_address() -> None:
    assert set(GATEWAY["paths"]) == set(PATHS)


@BOTH
def test_only_what_needs_no_key_is_described_without_one(document: Json) -> None:
    open_to_all = {(path, method) for path, method, one in operations(document) if not one["security"]}
    hooks = {("/webhooks/{app}", method) for method in ("get", "post")}
    # A log-in has its key in the body, and a log-out opens nothing; a page of somebody else is refused both.
    log_ins = {(log_in.PATH, method) for method in ("post", "delete")}
    files = {(path, "get") for path in routes.WITHOUT_KEY}
    assert open_to_all == (hooks if document is GATEWAY else files | log_ins)


def test_a_log_in_opens_what_reads_at_the_view_and_nothing_at_the_gateway() -> None:
    """What really lets in: tests/integration/test_log_in.py."""
    view, gateway = (set(one["components"]["securitySchemes"]) for one in (VIEW, GATEWAY))
    assert (view, gateway) == ({"key", "cookie"}, {"key"})
    for path, method, one in operations(VIEW):
        ways = [*dict.fromkeys(chain(*one["security"]))]
        renews = (path, method) == (log_in.PATH, "put")
        assert ways == ([] if not ways else ["cookie"] if renews else ["key", "cookie"]), (path, method)


@BOTH
def test_every_parameter_says_what_it_is_and_has_a_schema(document: Json) -> None:
    for path, _, one in operations(document):
        assert one["summary"], path
        for parameter in one["parameters"]:
            assert parameter["description"], (path, parameter["name"])
            assert parameter["schema"], (path, parameter["name"])
            Draft202012Validator.check_schema(parameter["schema"])


@BOTH
def test_every_example_fits_its_schema(document: Json) -> None:
    judge = Described(document)
    seen = 0
    for path, _, one in operations(document):
        contents = [one.get("requestBody", {}), *one["responses"].values()]
        for media in (media for content in contents for media in content.get("content", {}).values()):
            for name, example in media.get("examples", {}).items():
                error = next(judge.open_validator(media["schema"]).iter_errors(example["value"]), None)
                assert error is None, (path, name, error)
                seen += 1
    assert seen
