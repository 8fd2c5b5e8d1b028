"""A kubelet's calls to containerd, by hand: runs in the guest.

    python3 -m tests.world.cri run NAME[/ATTEMPT] [ANNOTATION=VALUE]   prints the sandbox's id
    python3 -m tests.world.cri stop ID
    python3 -m tests.world.cri remove ID
    python3 -m tests.world.cri status                        prints the conditions
    python3 -m tests.world.cri list                          prints which sandboxes are ready

Source: kubernetes/cri-api, pkg/apis/runtime/v1/api.proto, whose numbers these are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

SOCKET = "unix:///run/cri/containerd.sock"
LIMIT = 60  # seconds
Fields = Iterable[tuple[int, str | bytes | int]]


def encode(fields: Fields) -> bytes:
    """A message of these fields: a number is a varint, all else has a length."""
    return b"".join(_encoded(number, value) for number, value in fields)


def _encoded(number: int, value: str | bytes | int) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def decode(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            value |= (data[place] & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if not data[place - 1] & 0x80:
                return value

    while place < len(data):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            yield number, varint()
        else:
            size = varint()
            yield number, data[place : place + size]
            place += size


def call(method: str, request: bytes) -> list[tuple[int, Any]]:
    """The answer's fields. Raises grpc.RpcError."""
    import grpc  # type: ignore # noqa: PGH003, PLC0415 (in a guest of sid only)

    with grpc.insecure_channel(SOCKET) as channel:
        stub = channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")
        return list(decode(stub(request, timeout=LIMIT)))


def run(name: str, *annotations: str) -> str:
    """Run a pod's sandbox, with the number of the attempt; its id."""
    name, _slash, attempt = name.partition("/")
    metadata = encode([(1, name), (2, f"uid-{name}"), (3, "default"), (4, int(attempt or 0))])
    pairs = [encode([(1, key), (2, value)]) for key, value in map(_pair, annotations)]
    config = encode([(1, metadata), (2, name), *((7, pair) for pair in pairs)])
    return str(dict(call("RunPodSandbox", encode([(1, config)])))[1].decode())


def _pair(word: str) -> tuple[str, str]:
    key, _equals, value = word.partition("=")
    return key, value


def status() -> str:
    """The conditions, one a line."""
    answer = dict(call("Status", b""))[1]
    every = [dict(decode(value)) for number, value in decode(answer) if number == 1]
    return "\n".join(
        f"{each[1].decode()}={bool(each.get(2))} {each.get(4, b'').decode()}" for each in every
    )


def sandboxes() -> str:
    """Each sandbox's name and whether it is ready, one a line."""
    every = [dict(decode(value)) for _number, value in call("ListPodSandbox", b"")]
    names = [dict(decode(each[2]))[1].decode() for each in every]  # in PodSandboxMetadata
    ready = [each.get(3, 0) == 0 for each in every]  # SANDBOX_READY
    return "\n".join(sorted(f"{name}={what}" for name, what in zip(names, ready, strict=True)))


def main(verb: str, *words: str) -> None:
    """Do what the command line says."""
    if verb == "run":
        sys.stdout.write(run(*words))
    elif verb == "status":
        sys.stdout.write(status())
    elif verb == "list":
        sys.stdout.write(sandboxes())
    else:
        method = {"stop": "StopPodSandbox", "remove": "RemovePodSandbox"}[verb]
        call(method, encode([(1, words[0])]))


if __name__ == "__main__":
    main(*sys.argv[1:])
