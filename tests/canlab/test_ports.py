"""Services of the machine inside: --ports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.canlab.caller import python

CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", PORT)) as connection:
    connection.settimeout(50)
    connection.sendall(b"x" * 100_000)
    connection.shutdown(socket.SHUT_WR)
    answer = b""
    while data := connection.recv(1 << 16):
        answer += data
print(len(answer), answer[:3])
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A service that reads all, and then answers: so each way has its own end."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    size = 0
                    while data := connection.recv(1 << 16):
                        size += len(data)
                    connection.sendall(b"y" * size)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_service_of_the_machine_answers_inside(port: int) -> None:
    """Each connection by itself, both ways, to the end."""
    program = CLIENT.replace("PORT", str(port))
    assert python(program * 2, "--ports", str(port)) == "100000 b'yyy'\n" * 2


def test_without_the_option_it_is_not_there(port: int) -> None:
    program = f"import socket; print(socket.socket().connect_ex(('127.0.0.1', {port})))"
    assert python(program) == "111\n"


def test_a_service_that_is_not_there_ends_the_connection(port: int) -> None:
    """No word comes, and nothing waits for one."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        number = gone.getsockname()[1]
    program = f"import socket; print(socket.create_connection(('127.0.0.1', {number})).recv(9))"
    assert python(program, "--ports", f"{number},{port}") == "b''\n"
