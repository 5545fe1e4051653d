"""A bare aiohttp app that answers 200 to any body, as a process: nothing on aiohttp can be faster."""

import os

from aiohttp import web

PORT = "BARE_PORT"


async def accept(request: web.Request) -> web.Response:
    """Read a body, and do nothing with it."""
    await request.read()
    return web.Response()


def main() -> None:
    """Serve until the end."""
    app = web.Application()
    app.router.add_post("/webhooks/{app}", accept)
    web.run_app(app, host="127.0.0.1", port=int(os.environ[PORT]), access_log=None, print=None)


if __name__ == "__main__":
    main()
