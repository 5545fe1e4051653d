"""Pages for people: static files that are clients of the read API, so that no number is made twice."""

from collections.abc import Mapping
from hashlib import blake2b
from importlib.resources import files

from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.streams.web.endpoints import Endpoint
from tally.streams.web.responses import tagged, unchanged

PAGE = "page.html"
TYPES = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
}
HEADERS = {
    # Names from the wire stand in these pages: nothing that is not a file of ours may run, or be asked.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class File(Struct, frozen=True):
    """One file of the pages."""

    body: bytes
    content_type: str
    tag: str


def read_files() -> Mapping[str, File]:
    """Return all files of the pages by name."""
    found = {}
    for one in files("tally.streams.web").joinpath("pages").iterdir():
        body = one.read_bytes()
        kind = TYPES[one.name.rpartition(".")[2]]
        found[one.name] = File(body, kind, blake2b(body, digest_size=12).hexdigest())
    return found


FILES = web.AppKey("files", Mapping[str, File])


class PageView(View):
    """The page; its scripts decide by the address what it shows."""

    async def get(self, request: web.Request, **_: str) -> web.StreamResponse:
        """Answer with the page."""
        return _answer(request, PAGE)


class FileView(View):
    """A script, a style or an image of the pages."""

    async def get(self, request: web.Request, file: str) -> web.StreamResponse:
        """Answer with the file; 404 if there is none of this name."""
        return _answer(request, file)


def _answer(request: web.Request, name: str) -> web.StreamResponse:
    file = request.app[FILES].get(name)
    if file is None:
        raise web.HTTPNotFound
    response = unchanged(request, file.tag) or web.Response(
        body=file.body, content_type=file.content_type, charset="utf-8", headers=tagged(file.tag)
    )
    # On a 304 too: a browser takes its headers for those of the copy that it keeps.
    response.headers.update(HEADERS)
    return response


def _page(name: str, path: str, says: str) -> Endpoint:
    return Endpoint(name, path, PageView, says, None, needed=None, also=(304,), media_type=TYPES["html"])


ROUTES = (
    _page("page-campaigns", "/", "the page of a tenant's campaigns, live"),
    _page("page-campaign", "/c/{campaign}", "the page of one campaign, live"),
    _page("page-wall", "/wall", "the wallboard, live"),
    Endpoint(
        "page-file",
        "/pages/{file}",
        FileView,
        "a file of the pages",
        None,
        needed=None,
        also=(304,),
        media_type="*/*",
    ),
)
