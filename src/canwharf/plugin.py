#!/usr/bin/python3 -IS
"""The executable for Podman (netavark) and CNI runtimes: one call goes to the daemon as it came.

Rules:

- Nothing of the input is parsed here. The namespace is opened here, as only the caller sees its
  path: the daemon gets its descriptor. The file's name is the daemon's.
- Where the daemon asks for it, the call is made again with a netlink socket of the namespace: only
  we may enter there, and only an adapter that moves (can.mode=move) needs it.
- It imports nothing of ours, and of the library only what C modules have: each start costs.
- All waits together have one limit, as Podman holds its lock meanwhile, and has none itself.
- Removal succeeds without a daemon: the interface goes with its namespace, and runtimes would keep
  a container that cannot be removed, or forget one that can.
- A user without root has a socket of its own: a rootless Podman starts us in its user namespace,
  as user 0 there, and hides /run from us.

Sources: https://www.cni.dev/docs/spec/, netavark's plugin API (netavark-plugins(5)).
"""

import _signal  # type: ignore[import-not-found] # without the enums of signal
import _socket
import posix
import sys

LIMIT = 10  # seconds
SIZE = 1_000_000  # bytes of input; the daemon refuses one of this size
REMOVALS = (b"teardown", b"CNI_COMMAND=DEL", b"CNI_COMMAND=GC")
SOCKET_NEEDED = b"428"  # HTTP's status: make the call again, with a netlink socket
CLONE_NEWNET = 0x40000000  # linux/sched.h
ANSWERED = {b"200": 0, b"400": 1}  # HTTP's status: the exit status of an answer in this form
# The folder of the socket, and what to do without an answer: for root, and in a user namespace.
PLACES = (
    ("/run/docker/plugins", "see 'canwharf doctor'"),
    (
        "/var/lib/canwharf.rootless",
        "it is for a group that root has allowed: 'canwharf install --allow-group GROUP'",
    ),
)
HOST = [b"0", b"0", b"4294967295"]  # the map of users in the host's user namespace
FORMS = (
    '{"error": "%s"}',
    '{"cniVersion": "1.1.0", "code": 50, "msg": "%s"}',  # 50: the plugin is not available
)


def late(_number: object, _frame: object) -> None:
    """End every wait."""
    raise TimeoutError(f"no answer within {LIMIT} seconds")


def ask(path: str, words: list[bytes], namespace: bytes) -> tuple[int, bytes]:
    """The exit status and the output for this call. Raises OSError."""
    body = b"\0".join([*words, b"", open(0, "rb", closefd=False).read(SIZE)])  # noqa: SIM115
    try:
        opened = posix.open(namespace, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError:
        opened = -1  # the daemon says so, where it needs the namespace
    status, output = send(path, body, opened)
    if status == SOCKET_NEEDED:
        inside = enter(opened)
        status, output = send(path, body, inside.fileno() if inside else -1)
    if status not in ANSWERED:
        raise OSError(f"it answers {status.decode(errors='replace') or 'nothing'}")
    return ANSWERED[status], output


def send(path: str, body: bytes, descriptor: int) -> tuple[bytes, bytes]:
    """HTTP's status and the output for this call, with a descriptor (-1: none). Raises OSError."""
    head = b"POST /Canwharf.Runtime HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
    passed = []
    if descriptor >= 0:
        what = descriptor.to_bytes(4, sys.byteorder)
        passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, what)]
    connection = _socket.socket(_socket.AF_UNIX)
    connection.connect(path)
    connection.sendmsg([head], passed)
    connection.sendall(body)
    answer = b""
    while part := connection.recv(1 << 16):
        answer += part
    said, _end, output = answer.partition(b"\r\n\r\n")
    return said[9:12], output


def enter(namespace: int) -> _socket.socket | None:
    """A netlink socket in the namespace, which we enter and do not leave; None if we may not."""
    import ctypes  # noqa: PLC0415 (as slow as all else here; os.setns is of Python 3.12)

    try:
        if ctypes.CDLL(None).setns(namespace, CLONE_NEWNET):
            return None
        return _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, _socket.NETLINK_ROUTE)
    except OSError:
        return None


def main() -> int:
    """Make the call; the exit status."""
    cni = [b"%s=%s" % each for each in posix.environ.items() if each[0].startswith(b"CNI_")]
    words = cni or [word.encode(errors="surrogateescape") for word in sys.argv[1:]]
    namespace = posix.environ.get(b"CNI_NETNS", b"") if cni else b"".join(words[1:2])
    with open("/proc/self/uid_map", "rb") as users:
        folder, advice = PLACES[users.read().split() != HOST]
    path = f"{folder}/{sys.argv[0].rpartition('/')[2]}.sock"
    _signal.signal(_signal.SIGALRM, late)
    _signal.alarm(LIMIT)
    try:
        status, output = ask(path, words, namespace)
    except OSError as error:
        if any(word in REMOVALS for word in words[:1] + cni):
            return 0
        why = f"canwharf's daemon does not answer on {path}: {error.strerror or error}"
        status, output = 1, (FORMS[bool(cni)] % f"{why}; {advice}").encode()
    with open(1, "wb", closefd=False) as stdout:
        stdout.write(output)
    return status


if __name__ == "__main__":
    sys.exit(main())
