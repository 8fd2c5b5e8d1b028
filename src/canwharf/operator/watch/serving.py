"""The screen in a browser of this machine, by textual-serve.

Theory of operation. Each tab of a browser starts the command once more, without --serve. Its screen
goes to the page by a WebSocket, and the page's keys come back by it.

Rules:

- Only loopback addresses are listened to: each viewer sees all frames, and can record as the user
  that serves. From another machine there is `ssh -L`.
- The path of all that is served begins with a secret. So other users of this machine see nothing,
  and neither does another site's page in the same browser. A cookie would not do: a browser sends
  it to every port of this machine, and another user can listen on one.
- A name of another site that leads here (DNS rebinding) is refused: the Host header must be the
  address itself, as must a WebSocket's Origin.
- The page loads nothing from another site.
"""

from __future__ import annotations

import ipaddress
import secrets
import shlex
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from textual_serve.server import Server

from canwharf.errors import CanwharfError, UsageError
from canwharf.record import NamedTuple

_DEFAULT = "127.0.0.1"
_PATIENCE = 2.0  # seconds for open pages when it ends
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; font-src 'self'; img-src 'self' data:; "
        "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Address(NamedTuple):
    """A loopback address, as text, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """As it stands in a URL and in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 80 else f"{host}:{self.port}"


def parse(text: str) -> Address:
    """`8000`, `127.0.0.1:8000` or `[::1]:8000`. Raises UsageError."""
    host, _colon, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else 0
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]") or _DEFAULT)
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise UsageError(f"--serve {text}: must be a port, like 8000, or 127.0.0.1:8000")
    if not address.is_loopback:
        raise UsageError(
            f"--serve {text}: only this machine may see it, as a viewer can record as root: name "
            f"127.0.0.1; from another machine, 'ssh -L {port}:127.0.0.1:{port}' leads here"
        )
    return Address(str(address), number)


def serve(command: Sequence[str], address: Address, tell: Callable[[str], None]) -> None:
    """Serve until a signal ends it; `tell` gets the page's URL. Raises CanwharfError."""
    server = Serving(command, address)
    try:
        web.run_app(
            server.application(),
            host=address.host,
            port=address.port,
            access_log=None,
            shutdown_timeout=_PATIENCE,
            print=lambda *_words: tell(server.url),
        )
    except OSError as error:
        raise CanwharfError(f"cannot listen on {address}: {error.strerror or error}") from error


class Serving(Server):
    """textual's server, with a guard before it."""

    def __init__(self, command: Sequence[str], address: Address) -> None:
        super().__init__(shlex.join(command), title="canwharf watch")
        self._secret = secrets.token_urlsafe(24)
        self.listens_on(address)

    def listens_on(self, address: Address) -> None:
        """The address by which it may be called."""
        self.host, self.port = address
        self._authority = str(address)
        self.public_url = f"http://{address}"

    @property
    def url(self) -> str:
        """The page's address, with the secret."""
        return f"{self.public_url}/{self._secret}/"

    async def application(self) -> web.Application:
        """What aiohttp runs."""
        made = web.Application(middlewares=[self._guard])
        made.add_subapp(f"/{self._secret}", await self._make_app())
        return made

    async def on_startup(self, app: web.Application) -> None:
        """Print no banner."""

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answer only those that may see it."""
        if request.host != self._authority:
            raise web.HTTPForbidden(text=f"this is {self._authority}, call it so\n")
        if request.headers.get("Origin", self.public_url) != self.public_url:
            raise web.HTTPForbidden(text="another site's page may not see this\n")
        given = request.path.removeprefix("/").partition("/")[0]
        if not secrets.compare_digest(given.encode("utf-8", "replace"), self._secret.encode()):
            raise web.HTTPForbidden(
                text="open the address that canwharf printed: it has a secret\n"
            )
        response = await handler(request)
        if not response.prepared:  # a WebSocket is, by now
            response.headers.update(_HEADERS)
        return response
