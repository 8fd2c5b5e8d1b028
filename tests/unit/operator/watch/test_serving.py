"""The screen in a browser: who gets it, and who does not."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientSession, WSServerHandshakeError, web

from canwharf.errors import CanwharfError, UsageError
from canwharf.operator.watch.serving import Address, Serving, parse, serve

# What a tab of a browser starts here: a screen that says what it was typed.
PROGRAM = """
from textual import events
from textual.app import App, ComposeResult
from textual.widgets import Static
class Echo(App):
    def compose(self) -> ComposeResult:
        yield Static("nothing yet")
    def on_key(self, event: events.Key) -> None:
        self.query_one(Static).update("typed " + event.key)
Echo().run()
"""

Visit = Callable[[ClientSession, Serving], Awaitable[None]]


def visited(visit: Visit) -> None:
    """Serve for this visit, on a free port of this machine."""

    async def run() -> None:
        server = Serving([sys.executable, "-c", PROGRAM], Address("127.0.0.1", 0))
        runner = web.AppRunner(await server.application(), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _host, port = runner.addresses[0]
        server.listens_on(Address("127.0.0.1", port))
        try:
            async with ClientSession() as session:
                await visit(session, server)
        finally:
            await runner.cleanup()

    asyncio.run(run())


def test_the_address_that_is_told_shows_the_page_and_lets_its_parts_in() -> None:
    async def visit(session: ClientSession, server: Serving) -> None:
        async with session.get(server.url) as answer:
            page = await answer.text()
            assert answer.status == 200
            assert "Set-Cookie" not in answer.headers  # a browser shows it to other ports, too
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert f'{server.url.replace("http", "ws")}ws"' in page
        script = f"{server.url}static/js/textual.js"
        assert script in page
        async with session.get(script) as answer:
            assert answer.status == 200

    visited(visit)


@pytest.mark.parametrize("path", ["/", "/wrong/", "/static/js/textual.js", "/ws", "/wrong/ws"])
def test_without_its_secret_nothing_is_shown(path: str) -> None:
    """Nor to a browser that has seen the page: what it may see stands in each address."""

    async def visit(session: ClientSession, server: Serving) -> None:
        async with session.get(server.url) as answer:
            assert answer.status == 200
        async with session.get(f"{server.public_url}{path}") as answer:
            assert answer.status == 403
            assert server.url not in await answer.text()

    visited(visit)


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "localhost"}, {"Origin": "http://evil.example"}]
)
def test_another_sites_page_is_refused_even_with_the_secret(headers: dict[str, str]) -> None:
    """A name that leads here (DNS rebinding), and a script of another site in the same browser."""

    async def visit(session: ClientSession, server: Serving) -> None:
        async with session.get(server.url) as answer:
            assert answer.status == 200
        async with session.get(server.url, headers=headers) as answer:
            assert answer.status == 403
        with pytest.raises(WSServerHandshakeError, match="403"):
            await session.ws_connect(f"{server.url}ws", headers=headers)

    visited(visit)


def test_keys_go_to_the_screen_and_the_screen_comes_back() -> None:
    async def visit(session: ClientSession, server: Serving) -> None:
        async with session.ws_connect(f"{server.url}ws?width=80&height=24") as opened:
            await _until(opened, b"nothing yet")
            await opened.send_json(["stdin", "x"])
            await _until(opened, b"typed x")

    visited(visit)


async def _until(opened: object, wanted: bytes) -> None:
    seen = b""
    async with asyncio.timeout(60):
        async for message in opened:  # type: ignore[attr-defined]
            seen += message.data if isinstance(message.data, bytes) else b""
            if wanted in seen:
                return
    raise AssertionError(seen)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8000", "127.0.0.1:8000"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("127.0.0.2:9", "127.0.0.2:9"),
        ("[::1]:8000", "[::1]:8000"),
    ],
)
def test_loopback_addresses(text: str, expected: str) -> None:
    assert str(parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.0.0.0:8000", "only this machine may see it.*ssh -L 8000:127.0.0.1:8000"),
        ("[::]:8000", "only this machine"),
        ("192.168.1.2:8000", "only this machine"),
        ("localhost:8000", "must be a port"),
        ("", "must be a port"),
        ("0", "must be a port"),
        ("65536", "must be a port"),
        ("x", "must be a port"),
        ("127.0.0.1", "must be a port"),
    ],
)
def test_other_addresses_are_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse(text)


def test_a_port_that_is_taken_is_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address(*taken.getsockname())
        with pytest.raises(CanwharfError, match=f"cannot listen on {address}: "):
            serve(["true"], address, lambda _url: None)
