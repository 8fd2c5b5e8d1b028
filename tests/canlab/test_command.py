"""A command inside: the same bytes, files, environment and status as without canlab in front."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.canlab.caller import CANLAB, LIMIT, environment, run


def test_bytes_pass_exactly_both_ways() -> None:
    """All values, more than any buffer on the way holds."""
    data = random.Random(1).randbytes(300_001)
    done = run("cat", input=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == data


def test_output_and_errors_stay_apart() -> None:
    done = run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 255"), 255),
        (("sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL),
        (("sh", "-c", "kill -SEGV $$"), 128 + signal.SIGSEGV),
        (("no-such-program",), 127),
        (("/etc/passwd",), 126),
    ],
)
def test_the_status_is_the_commands(command: tuple[str, ...], status: int) -> None:
    done = run(*command)
    assert done.returncode == status, done.stderr


def test_the_end_of_the_input_reaches_the_command() -> None:
    """And input that the command does not read does not keep it from ending."""
    assert run("sh", "-c", "wc -c; echo end", input=b"four").stdout.split() == [b"4", b"end"]
    assert run("true", input=bytes(1_000_000)).returncode == 0


def test_an_input_file_is_the_same_file(tmp_path: Path) -> None:
    """Read from where the caller stood, as a file, and left where the command left it."""
    file = tmp_path / "in put"
    file.write_bytes(b"first\nsecond\nthird\n")
    # A shell reads its input byte by byte, so it takes one line of three.
    script = 'read a; "$@" sh -c "test -f /dev/stdin && read b && echo \\$b"; read c; echo $c'
    with file.open("rb") as stdin:
        done = subprocess.run(
            ["sh", "-c", script, "sh", *CANLAB],
            stdin=stdin,
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
    assert (done.stdout, done.stderr) == (b"second\nthird\n", b"")


def test_an_input_file_that_was_deleted_is_still_read(tmp_path: Path) -> None:
    """As a here-document is."""
    with (tmp_path / "gone").open("w+b") as stdin:
        stdin.write(b"text")
        stdin.seek(0)
        (tmp_path / "gone").unlink()
        done = subprocess.run(
            [*CANLAB, "cat"], stdin=stdin, capture_output=True, timeout=LIMIT, check=False
        )
    assert done.stdout == b"text"


def test_a_pipe_that_does_not_pass_is_refused() -> None:
    """`canlab diff <(…) <(…)`."""
    done = run("cat", "/dev/fd/63")
    assert done.returncode == 125
    assert b"/dev/fd/63 is a pipe of the shell" in done.stderr


def test_a_reader_that_goes_ends_the_command() -> None:
    """As `yes | head -1` ends."""
    with subprocess.Popen(
        [*CANLAB, "yes"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(LIMIT) == 128 + signal.SIGPIPE


def test_a_slow_reader_gets_all_and_does_not_hold_up_signals() -> None:
    with subprocess.Popen(
        [*CANLAB, "sh", "-c", "trap 'echo got it >&2; exit 5' TERM; yes & echo up >&2; wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as process:
        assert process.stderr
        assert process.stderr.readline() == b"up\n"
        process.terminate()
        assert process.stderr.readline() == b"got it\n"
        out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 5
        assert set(out.split()) <= {b"y"}


def test_the_folder_and_its_files_are_the_same(tmp_path: Path) -> None:
    """Read and written, in a path with spaces and an umlaut."""
    folder = tmp_path / "a folder with späces"
    folder.mkdir()
    (folder / "here").write_text("before")
    done = run("sh", "-c", "umask; pwd; cat here; printf new >made; rm here", cwd=folder)
    assert done.stdout.decode() == f"{os.umask(0o22):04o}\n{folder}\nbefore"
    assert (folder / "made").read_text() == "new"
    assert not (folder / "here").exists()


def test_arguments_and_environment_are_the_same() -> None:
    """Bytes that are no UTF-8 too, and more than a serial line holds at once."""
    words = [b"", b"two words", b"\xff\xfe", "ä".encode(), b'"', b"$HOME", b"x" * 50_000]
    program = "import os, sys; os.write(1, b'|'.join(map(os.fsencode, sys.argv[1:])))"
    assert run(sys.executable, "-c", program, *words).stdout == b"|".join(words)
    env = {"CANLAB_TEST": "a\udcff b", "PATH": os.environ["PATH"]}
    program = "import os; os.write(1, os.environb[b'CANLAB_TEST'])"
    assert run(sys.executable, "-c", program, env=env).stdout == b"a\xff b"


def test_a_background_process_ends_with_the_command() -> None:
    """It holds the output open; nobody waits for it."""
    done = run("sh", "-c", "sleep 1000 & echo done")
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_what_cannot_be_written_is_said() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*CANLAB, "echo", "hello"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=LIMIT,
            env=environment(),
            check=False,
        )
    assert done.returncode == 125
    assert done.stderr == b"canlab: cannot write standard output: No space left on device\n"
