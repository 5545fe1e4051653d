"""Pages for people: static files that are clients of the read API, so that no number is made twice."""

import gzip
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from importlib.resources import files

from aiohttp import web
from faust.web import View
from msgspec import Struct

from tally.streams.web.endpoints import Endpoint
from tally.streams.web.packing import takes_gzip
from tally.streams.web.parameters import read_id
from tally.streams.web.responses import tagged, unchanged

PAGE = "page.html"
MAIN = "main.js"
MODULES = {
    "": "campaigns.js",
    "c": "campaign.js",
    "compare": "compare.js",
    "wall": "wall.js",
    "proof": "proof.js",
    "api": "api.js",
}
"""The module of each page, by the first part of its path; main.js imports it."""
TYPES = {
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}
IMPORT = re.compile(r'^import [^;]*?"\./([a-z_]+\.js)";', re.MULTILINE)
HEADERS = {
    # Names from the wire stand in these pages: nothing that is not a file of ours may run, or be asked.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
"""A file under its version is never another one, so a browser asks for it once."""
VARY = {"Vary": "Accept-Encoding"}
"""Files are the same for everybody: a log-in that is renewed may not make a browser fetch them anew."""


class File(Struct, frozen=True):
    """One file of the pages."""

    body: bytes
    packed: bytes
    """The body as gzip."""
    content_type: str
    tag: str


class Files(Struct, frozen=True):
    """All files of the pages."""

    by_name: Mapping[str, File]
    """Scripts, styles and images by name, and each page by its path."""
    version: str
    """A digest of all of them, under which pages name their files."""


def read_files() -> Files:
    """Return all files of the pages; each page is `page.html` with the scripts that it loads."""
    bodies = {one.name: one.read_bytes() for one in files("tally.streams.web").joinpath("pages").iterdir()}
    version = version_of(bodies)
    found = {name: _file(name, body) for name, body in bodies.items() if name != PAGE}
    for page, module in MODULES.items():
        whole = with_scripts(bodies[PAGE], loaded(module, bodies))
        found[f"/{page}"] = _file(PAGE, under_version(whole, version))
    return Files(found, version)


def version_of(bodies: Mapping[str, bytes]) -> str:
    """Return a digest of files by their names. Pure."""
    digest = blake2b(digest_size=8)
    for name, body in sorted(bodies.items()):
        digest.update(b"%b %d " % (name.encode(), len(body)) + body)
    return digest.hexdigest()


def under_version(page: bytes, version: str) -> bytes:
    """Return a page that names its files under their version; what they import stands beside them. Pure."""
    return page.replace(b'"/pages/', f'"/pages/{version}/'.encode())


def loaded(module: str, bodies: Mapping[str, bytes]) -> list[str]:
    """Return the scripts that a page loads before it shows anything: main, a module, their imports. Pure."""
    names = [MAIN, *_reached(module, bodies)]
    return [*dict.fromkeys((*names, *_reached(MAIN, bodies)))]


def _reached(module: str, bodies: Mapping[str, bytes]) -> Iterator[str]:
    yield module
    for name in IMPORT.findall(bodies[module].decode()):
        yield from _reached(name, bodies)


def with_scripts(page: bytes, names: list[str]) -> bytes:
    """Return a page that asks for all scripts at once: each would be found only in the one before. Pure."""
    links = "".join(f'<link rel="modulepreload" href="/pages/{name}">\n' for name in names)
    return page.replace(b"</head>", links.encode() + b"</head>", 1)


def _file(name: str, body: bytes) -> File:
    kind = TYPES[name.rpartition(".")[2]]
    return File(body, gzip.compress(body, mtime=0), kind, blake2b(body, digest_size=12).hexdigest())


FILES = web.AppKey("files", Files)


class PageView(View):
    """A page."""

    async def get(self, request: web.Request, **ids: str) -> web.StreamResponse:
        """Answer with the page of the path's first part; 400 where the rest of it is no id."""
        for name, text in ids.items():
            read_id(name, text)
        return _answer(request, f"/{request.path.split('/')[1]}", {})


class FileView(View):
    """A script, a style or an image of the pages."""

    async def get(self, request: web.Request, version: str, file: str) -> web.StreamResponse:
        """Answer with the file; 404 if there is none of this name.

        A page that was open before an upgrade asks under its own version for a script that it needs only now:
        it gets the present one, which no browser may keep under that name.
        """
        is_ours = version == request.app[FILES].version
        return _answer(request, file, {**VARY, **FOREVER} if is_ours else VARY)


def _answer(request: web.Request, name: str, headers: Mapping[str, str]) -> web.StreamResponse:
    file = request.app[FILES].by_name.get(name)
    if file is None:
        raise web.HTTPNotFound
    response = unchanged(request, file.tag) or _whole(request, file)
    # On a 304 too: a browser takes its headers for those of the copy that it keeps.
    response.headers.update({**HEADERS, **headers})
    return response


def _whole(request: web.Request, file: File) -> web.Response:
    headers = tagged(file.tag)
    body = file.body
    if takes_gzip(request.headers.get("Accept-Encoding", "")):
        body = file.packed
        headers = {**headers, "Content-Encoding": "gzip"}
    return web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers)


def _page(name: str, path: str, says: str) -> Endpoint:
    return Endpoint(name, path, PageView, says, None, needed=None, also=(304,), media_type=TYPES["html"])


ROUTES = (
    _page("page-campaigns", "/", "the page of a tenant's campaigns, live"),
    _page("page-campaign", "/c/{campaign}", "the page of one campaign, live"),
    _page("page-compare", "/compare", "the page of two campaigns side by side, live"),
    _page("page-wall", "/wall", "the wallboard, live"),
    _page("page-proof", "/proof", "what shows that the numbers are right, live"),
    _page("page-api", "/api", "how to ask for all of this, with examples"),
    Endpoint(
        "page-file",
        "/pages/{version}/{file}",
        FileView,
        "a file of the pages, which a browser keeps under its version",
        None,
        needed=None,
        also=(304,),
        media_type="*/*",
    ),
)
