"""`canwharf span init`, `invite`, `join`: three hosts of a bench, each a directory here."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from canwharf import durable
from canwharf.cli import main
from canwharf.span import authority, directory, invitation
from canwharf.span.settings import check

LISTEN = "tls/192.0.2.{}:7447"


class Bench:
    """Hosts, and what commands on them print."""

    def __init__(self, folder: Path, output: pytest.CaptureFixture[str]) -> None:
        self.folder, self._output = folder, output

    def __call__(self, host: str, *words: str, status: int = 0) -> str:
        assert main(["span", *words, "--directory", self.path(host)]) == status
        captured = self._output.readouterr()
        return captured.err if status else captured.out

    def path(self, host: str) -> str:
        return f"{self.folder}/{host}/span"

    def init(self, *words: str, status: int = 0) -> str:
        words = words or ("--listen", LISTEN.format(1))
        return self("bench-1", "init", "--name", "bench-1", *words, status=status)


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Bench]:
    """A strange umask: what is secret stays so, and what is for all, too."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o007)
    yield Bench(tmp_path, capsys)
    os.umask(before)


def tree(path: str) -> dict[str, str]:
    return {
        str(each.relative_to(path)): oct(stat.S_IMODE(each.stat().st_mode))
        for each in sorted(Path(path).rglob("*"))
    }


def test_three_hosts_come_together_by_one_command_each(bench: Bench) -> None:
    printed = bench.init()
    assert "canwharf span invite bench-2 --listen tls/192.0.2.2:7447 --directory" in printed
    printed = bench("bench-1", "invite", "bench-2", "--listen", LISTEN.format(2))
    assert "  scp bench-2.join bench-2: && rm bench-2.join\n" in printed
    assert "  canwharf span join bench-2.join && rm bench-2.join\n" in printed
    bench("bench-2", "join", "bench-2.join")
    assert "does not listen" not in bench("bench-1", "invite", "bench-3")
    bench("bench-3", "join", "bench-3.join")
    known = {
        host: directory.settings(bench.path(host)) for host in ("bench-1", "bench-2", "bench-3")
    }
    one, two, three = known.values()
    assert (one.listen, one.connect) == ((LISTEN.format(1),), ())
    assert (two.listen, two.connect) == ((LISTEN.format(2),), (LISTEN.format(1),))
    assert (three.listen, three.connect) == ((), (LISTEN.format(1), LISTEN.format(2)))
    assert (one.hosts, two.hosts) == (("bench-2", "bench-3"), ("bench-1",))
    assert three.hosts == ("bench-1", "bench-2")
    for host, each in known.items():
        assert each.host == host
        check(each)
        assert Path(each.ca).read_bytes() == Path(one.ca).read_bytes()


def test_of_a_host_that_listens_nowhere_it_is_said_what_to_do(bench: Bench) -> None:
    """A host connects to those that were invited before it, if these listen."""
    bench.init()
    bench("bench-1", "invite", "bench-2")
    said = bench("bench-1", "invite", "bench-3")
    assert "bench-2 does not listen, so bench-3 does not connect to it, and they will not" in said
    said = bench("bench-1", "invite", "bench-4", "--listen", LISTEN.format(4))
    assert 'on bench-2, add "tls/192.0.2.4:7447" to connect in settings.toml' in said


def test_behind_a_relay_each_host_connects_to_it_only(bench: Bench) -> None:
    """None of them needs to be reached from outside; what is asked for else is refused."""
    words = ("--listen", LISTEN.format(1), "--relay")
    assert "only to bench-2" in bench.init(*words, "bench-2", status=2)
    assert "  canwharf span invite bench-2 --directory" in bench.init(*words, "bench-1")
    said = bench("bench-1", "invite", "bench-2", "--listen", LISTEN.format(2), status=2)
    assert "behind a relay, a host only connects, and only to bench-1" in said
    for host in ("bench-2", "bench-3"):
        assert "does not listen" not in bench("bench-1", "invite", host)
        bench(host, "join", f"{host}.join")
    for host in ("bench-1", "bench-2", "bench-3"):
        found = directory.settings(bench.path(host))
        check(found)
        assert found.relay == "bench-1"
        assert found.connect == (() if host == "bench-1" else (LISTEN.format(1),))


def test_secrets_are_for_their_owner_only(bench: Bench) -> None:
    bench.init()
    assert tree(bench.path("bench-1")) == {
        "ca.key": "0o600",
        "ca.pem": "0o644",
        "host.pem": "0o600",
        "hosts": "0o755",
        "hosts/bench-1": "0o644",
        "settings.toml": "0o644",
    }
    bench("bench-1", "invite", "bench-2")
    assert stat.S_IMODE(Path("bench-2.join").stat().st_mode) == 0o600
    bench("bench-2", "join", "bench-2.join")
    assert tree(bench.path("bench-2")) == {
        "ca.pem": "0o644",
        "host.pem": "0o600",
        "settings.toml": "0o644",
    }


def test_an_invitation_can_be_carried_away_by_who_called_sudo(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root's alone, scp could not read it."""
    owners: list[tuple[int, int]] = []
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _file, *owner: owners.append(owner))
    bench.init()
    bench("bench-1", "invite", "bench-2")
    assert owners == [(1000, -1)]


@pytest.mark.parametrize("kind", ["directory", "file", "link", "dangling"])
def test_what_is_there_is_not_overwritten(bench: Bench, kind: str) -> None:
    path = Path(bench.path("bench-1"))
    path.parent.mkdir()
    if kind == "directory":
        path.mkdir()
        (path / "mine").write_text("mine")
    elif kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(bench.folder / "elsewhere")
        if kind == "link":
            (bench.folder / "elsewhere").mkdir()
    assert "it is there already: move it away" in bench.init(status=1)
    assert [each.name for each in path.parent.iterdir()] == ["span"]
    assert kind != "directory" or (path / "mine").read_text() == "mine"
    assert kind != "link" or not list((bench.folder / "elsewhere").iterdir())


def test_a_second_init_changes_nothing(bench: Bench) -> None:
    bench.init()
    before = Path(bench.path("bench-1"), "host.pem").read_bytes()
    assert "it is there already" in bench.init(status=1)
    assert Path(bench.path("bench-1"), "host.pem").read_bytes() == before


def test_if_it_fails_in_the_middle_nothing_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = durable.replace, []

    def full(path: str, text: bytes, mode: int | None = None) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(path, text, mode)

    monkeypatch.setattr(durable, "replace", full)
    assert "No space left on device" in bench.init(status=1)
    assert not list(bench.folder.iterdir())


def test_an_invitation_is_not_written_over_a_file_or_a_link(bench: Bench) -> None:
    bench.init()
    Path("bench-2.join").symlink_to("elsewhere")
    assert "it is there already" in bench("bench-1", "invite", "bench-2", status=1)
    assert not Path("elsewhere").exists()
    assert not Path(bench.path("bench-1"), "hosts", "bench-2").exists()


def test_a_second_invitation_renews_the_certificate_and_keeps_the_settings(bench: Bench) -> None:
    bench.init()
    bench("bench-1", "invite", "bench-2", "--listen", LISTEN.format(2))
    bench("bench-2", "join", "bench-2.join")
    path = Path(bench.path("bench-2"))
    settings = (path / "settings.toml").read_text().replace("refuse = []", 'refuse = ["bench-9"]')
    (path / "settings.toml").write_text(settings)
    old = (path / "host.pem").read_bytes()
    os.unlink("bench-2.join")
    bench("bench-1", "invite", "bench-2")
    again = invitation.decode(Path("bench-2.join").read_bytes())
    assert again.listen == (LISTEN.format(2),)
    assert again.connect == (LISTEN.format(1),)
    assert "renewed the certificate of bench-2" in bench("bench-2", "join", "bench-2.join")
    assert (path / "host.pem").read_bytes() != old
    assert stat.S_IMODE((path / "host.pem").stat().st_mode) == 0o600
    assert directory.settings(str(path)).refuse == ("bench-9",)


def test_a_host_that_is_shut_out_is_not_invited_again(bench: Bench) -> None:
    """It would join, and hear nothing."""
    bench.init()
    path = Path(bench.path("bench-1"), "settings.toml")
    path.write_text(path.read_text().replace("refuse = []", 'refuse = ["bench-2"]'))
    assert "bench-2 is shut out" in bench("bench-1", "invite", "bench-2", status=1)
    assert not Path("bench-2.join").exists()


def test_the_first_host_renews_its_own_the_same_way(bench: Bench) -> None:
    bench.init()
    said = bench("bench-1", "invite", "bench-1")
    assert "for this host" in said
    assert f"span join bench-1.join --directory {bench.path('bench-1')} && rm bench-1.join" in said
    assert "scp" not in said
    assert "renewed the certificate of bench-1" in bench("bench-1", "join", "bench-1.join")


def test_a_host_does_not_become_another_one_by_mistake(bench: Bench) -> None:
    bench.init()
    bench("bench-1", "invite", "bench-2")
    assert "is of bench-1, with another name" in bench("bench-1", "join", "bench-2.join", status=1)
    bench("other", "init", "--name", "bench-1", "--listen", LISTEN.format(9))
    bench("other", "invite", "bench-1")
    assert "with another authority" in bench("bench-1", "join", "bench-1.join", status=1)


def test_certificates_of_ones_own_are_taken_if_they_fit(bench: Bench) -> None:
    bench("maker", "init", "--name", "maker", "--listen", LISTEN.format(9))
    bench("maker", "invite", "bench-1", "--listen", LISTEN.format(1))
    made = invitation.decode(Path("bench-1.join").read_bytes())
    for name, text in (("ca", made.ca), ("cert", made.certificate), ("key", made.key)):
        Path(name).write_text(text)
    own = ("--ca", "ca", "--cert", "cert", "--key", "key", "--listen")
    wrong = bench.init(*own, LISTEN.format(2), status=1)
    assert "cannot be used at 192.0.2.2" in wrong
    assert "invite" not in bench.init(*own, LISTEN.format(1))
    assert "has no authority" in bench("bench-1", "invite", "bench-2", status=1)
    assert "--key, too" in bench("x", "init", *own[:4], "--listen", LISTEN.format(1), status=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("init", "bench-1", "--listen", LISTEN.format(1)), "name: --name bench-1"),
        (("init", "--listen", LISTEN.format(1), "--host", "bench-2"), "init' takes no --host"),
        (("init", "--listen", LISTEN.format(1), "--insecure"), "init' takes no --insecure"),
        (("invite", "bench-2", "--name", "bench-3"), "invite' takes no --name"),
        (("join", "bench-2.join", "--listen", LISTEN.format(2)), "join' takes no --listen"),
    ],
)
def test_what_an_action_would_leave_out_is_refused(
    bench: Bench, words: tuple[str, ...], said: str
) -> None:
    """Its user would think that it holds: that only the --host given is let in, say."""
    assert said in bench("bench-1", *words, status=2)
    assert not Path(bench.path("bench-1")).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--connect", LISTEN.format(1)), "say where other hosts reach this one"),
        ((), "say where other hosts are"),
        (("--listen", "tls/0.0.0.0:7447"), "the address at which other hosts reach this one"),
        (("--listen", "quic/[::]:7447"), "the address at which other hosts reach this one"),
        (("--listen", "tcp/127.0.0.1:7447"), "a certificate is for tls/ or quic/"),
        (("--listen", "192.0.2.1"), "PROTOCOL/HOST:PORT"),
        (("--listen", LISTEN.format(1), "--name", "Bench"), "lower-case"),
    ],
)
def test_what_would_not_work_is_said_and_nothing_is_made(
    bench: Bench, words: tuple[str, ...], said: str
) -> None:
    assert said in bench("bench-1", "init", *words, status=2)
    assert not list(bench.folder.iterdir())


def test_a_hostname_that_can_be_no_name_is_no_option_of_the_user(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Bench_1.example")
    said = bench("bench-1", "init", "--listen", LISTEN.format(1), status=2)
    assert "say --name NAME for this host; its own is bench_1: a host's name must be" in said
    bench.init()
    bench("bench-1", "invite", "bench-2")
    bench("bench-2", "join", "bench-2.join")


@pytest.mark.parametrize("name", ["../x", "a/b", "*", "Bench-2", ".", "a\n"])
def test_a_name_that_no_host_can_have_is_not_invited(bench: Bench, name: str) -> None:
    bench.init()
    before = tree(str(bench.folder))
    said = bench("bench-1", "invite", name, status=2)
    assert ": a host's name must be up to 63 lower-case letters" in said
    assert "--name" not in said
    assert tree(str(bench.folder)) == before


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"host": "bench-3"},
        {"host": "../x"},
        {"host": 1},
        {"connect": ["tcp/192.0.2.1:7447"]},
        {"listen": ["tls/192.0.2.9:7447"]},
        {"hosts": 1},
        {"hosts": [[]]},
        {"hosts": ["*"]},
        {"hosts": ["\ud800"]},
        {"connect": ["tls/192.0.2.300:7447"]},
        {"ca": ""},
        {"ca": "\ud800"},
        {"key": None},
        {"more": ""},
    ],
)
def test_an_invitation_that_was_changed_is_refused(bench: Bench, change: dict[str, object]) -> None:
    bench.init()
    bench("bench-1", "invite", "bench-2", "--listen", LISTEN.format(2))
    content = json.loads(Path("bench-2.join").read_text())
    Path("bench-2.join").write_text(json.dumps(content | change))
    assert "cannot join by bench-2.join: " in bench("bench-2", "join", "bench-2.join", status=1)
    assert not Path(bench.path("bench-2")).parent.exists()


def test_an_invitation_of_another_version_says_so(bench: Bench) -> None:
    """What it has more might shut a host out, so it is not left out without a word."""
    bench.init()
    bench("bench-1", "invite", "bench-2")
    content = json.loads(Path("bench-2.join").read_text())
    Path("bench-2.join").write_text(json.dumps(content | {"more": 1}))
    said = bench("bench-2", "join", "bench-2.join", status=1)
    assert "of another version of canwharf, or changed: more is not expected" in said
    del content["relay"]
    Path("bench-2.join").write_text(json.dumps(content))
    assert "relay is missing" in bench("bench-2", "join", "bench-2.join", status=1)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b"[" * 100000, b"-----BEGIN"])
def test_what_is_no_invitation_is_refused(bench: Bench, content: bytes) -> None:
    Path("x").write_bytes(content)
    assert "cannot join by x: this is no invitation" in bench("b", "join", "x", status=1)


def test_a_file_that_is_not_there_is_said(bench: Bench) -> None:
    assert "cannot read none.join: No such file" in bench("b", "join", "none.join", status=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name = 1",
        'name = "a"\nlisten = "x"',
        'name = "a"\nmore = 1',
        "=",
        'name = "a"\nhosts=[1]',
    ],
)
def test_settings_that_cannot_be_read_name_their_file(bench: Bench, text: str) -> None:
    bench.init()
    Path(bench.path("bench-1"), "settings.toml").write_text(text)
    assert "cannot read" in (said := bench("bench-1", status=78))
    assert "settings.toml" in said


def test_a_directory_that_is_not_there_is_named(bench: Bench) -> None:
    """It was typed; where other hosts are, would be said in it."""
    assert "span/settings.toml: No such file" in bench("bench-1", status=1)


def test_a_certificate_of_the_bench_is_good_where_its_host_listens(bench: Bench) -> None:
    bench.init()
    which = directory.settings(bench.path("bench-1"))
    pem = Path(which.certificate).read_bytes()
    own = authority.Signed(pem, pem)
    now = datetime.now(UTC)
    assert authority.check(Path(which.ca).read_bytes(), own, "bench-1", ["192.0.2.1"], now)
