"""A request that fails says so in the common shape, and names nobody in the log."""

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs

from tally.streams.web.responses import in_one_shape


@pytest.mark.asyncio
async def test_the_log_of_a_failure_names_the_route_and_no_part_of_the_path() -> None:
    async def fail(_: web.Request) -> web.Response:
        raise ZeroDivisionError

    app = web.Application()
    app.router.add_get("/v1/tenants/{tenant}/operators/{operator}", fail)
    request = make_mocked_request("GET", "/v1/tenants/acme/operators/anna", app=app)
    request._match_info = await app.router.resolve(request)

    with capture_logs() as logged:
        response = await in_one_shape(request, fail)

    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    assert (response.status, orjson.loads(response.body)["error"]["code"]) == (500, "internal")
    (line,) = logged
    assert (line["log_level"], line["route"]) == ("error", "/v1/tenants/{tenant}/operators/{operator}")
    assert not any(name in str(line) for name in ("acme", "anna"))
