"""The machine's files inside: the same bytes and names, and whose they are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canlab.caller import CANLAB, LIMIT, SOURCE, run

NOBODY = 65534
PYTHON = "/usr/bin/python3"
# Evaluates each line that it reads.
EVALUATE = "import os, sys\nfor line in sys.stdin: print(repr(eval(line)), flush=True)"


class Inside:
    """A Python in a guest that evaluates expressions while the test changes files."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [*CANLAB, sys.executable, "-c", EVALUATE],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, expression: str) -> object:
        """Its value, a literal."""
        assert self.process.stdin
        assert self.process.stdout
        print(expression, file=self.process.stdin, flush=True)
        return eval(self.process.stdout.readline())


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    """It stands in tmp_path."""
    guest = Inside(tmp_path)
    with guest.process:
        yield guest


def test_what_the_machine_changes_is_seen_inside(inside: Inside, tmp_path: Path) -> None:
    """Though the guest keeps what it has read: new text of the same size and of another."""
    file = tmp_path / "file"
    assert inside("os.path.exists('file')") is False
    for text in ("one", "two", "three", ""):
        file.write_text(text)
        assert inside("open('file').read()") == text
        assert inside("os.stat('file').st_size") == len(text)
    file.unlink()
    assert inside("os.path.exists('file')") is False
    file.mkdir()
    assert inside("os.path.isdir('file'), os.listdir('file')") == (True, [])
    (file / "in it").touch()
    assert inside("os.listdir('file')") == ["in it"]
    file.rename(tmp_path / "renamed")
    assert inside("os.listdir('.')") == ["renamed"]
    assert inside("os.path.exists('renamed/in it'), os.path.exists('file')") == (True, False)


def test_an_old_file_that_the_machine_rewrites_is_read_again(
    inside: Inside, tmp_path: Path
) -> None:
    """With its old size and date, as `rsync -t` leaves it: an old file's pages are kept."""
    file = tmp_path / "file"
    file.write_text("old")
    os.utime(file, (1e9, 1e9))
    for _ in range(2):
        assert inside("__import__('time').sleep(1.1), open('file').read()") == (None, "old")
    file.write_text("new")
    os.utime(file, (1e9, 1e9))
    assert inside("open('file').read()") == "new"


def test_what_changes_inside_is_seen_on_the_machine(inside: Inside, tmp_path: Path) -> None:
    assert inside("open('made', 'w').write('text')") == 4
    assert (tmp_path / "made").read_text() == "text"
    assert inside("open('made', 'a').write(' and more')") == 9
    assert inside("open('made').read()") == (tmp_path / "made").read_text() == "text and more"
    inside("os.truncate('made', 4), os.rename('made', 'moved'), os.symlink('moved', 'link')")
    inside("os.link('moved', 'second'), os.mkdir('folder'), os.chmod('moved', 0o640)")
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "moved", "second"]
    assert (tmp_path / "moved").stat().st_mode & 0o777 == 0o640
    assert inside("open('link').read(), os.stat('second').st_nlink") == ("text", 2)
    inside("os.unlink('second'), os.unlink('link'), os.rmdir('folder')")
    assert os.listdir(tmp_path) == ["moved"]
    assert inside("os.stat('moved').st_nlink") == 1


def test_memory_that_is_mapped_from_a_file_is_written_to_it(inside: Inside, tmp_path: Path) -> None:
    """As databases do."""
    (tmp_path / "file").write_bytes(bytes(8192))
    inside('exec(\'import mmap\\nwith open("file", "r+b") as f: m = mmap.mmap(f.fileno(), 0)\')')
    inside("exec('m[5000:5003] = b\"abc\"; m.close()')")
    assert (tmp_path / "file").read_bytes()[4999:5004] == b"\0abc\0"
    assert inside("open('file', 'rb').read()[5000:5003]") == b"abc"


def test_the_machines_limit_of_open_files_does_not_count_what_was_closed(tmp_path: Path) -> None:
    """More files are read, one after the other, than may be open."""
    program = "for i in range(500): open(str(i), 'w').write('x'); assert open(str(i)).read()"
    done = run("prlimit", "--nofile=64", sys.executable, "-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    script = f'ulimit -n 200 && exec {" ".join(CANLAB)} {sys.executable} -c "$1"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", program],
        cwd=tmp_path,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="it mounts")
def test_a_folder_that_is_mounted_twice_is_two_folders(tmp_path: Path) -> None:
    """As `docker run -v .:/a -v .:/b` shows it; a process that stands in one stays there."""
    for name in ("one", "two", "one/sub"):
        (tmp_path / name).mkdir()
    look = "import os; a = os.getcwd(); os.listdir('../../two/sub'); print(os.getcwd() == a)"
    done = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-euc", 'mount --bind one two; cd one/sub; exec "$@"'),
            *("sh", *CANLAB, sys.executable, "-c", look),
        ],
        cwd=tmp_path,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"True\n", b"")


def _as_nobody(folder: Path, *command: str | os.PathLike[str]) -> str:
    """What canlab's command prints, called by an ordinary user; it must succeed."""
    packages = Path(pytest.__file__).parent.parent
    done = subprocess.run(
        [PYTHON, "-m", "canlab", *command],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin:/sbin",
            "PYTHONPATH": f"{SOURCE}:{packages}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "CANLAB_KERNEL": os.environ["CANLAB_KERNEL"],
        },
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def theirs(common: Path) -> Path:
    """A folder of an ordinary user's."""
    folder = common / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes another user")
@pytest.mark.parametrize(("option", "uid"), [((), "0"), (("--user",), str(NOBODY))])
def test_the_callers_files_are_the_commands(
    theirs: Path, option: tuple[str, ...], uid: str
) -> None:
    """So git and pytest's tmp_path take them for their user's; the machine's root stays root."""
    (theirs / "test_it.py").write_text("def test_it(tmp_path): (tmp_path / 'x').touch()\n")
    git = ("git", "-c", "init.defaultBranch=main")
    subprocess.run([*git, "init", "-q", theirs], check=True, user=NOBODY, env={})
    assert _as_nobody(theirs, *option, "stat", "-c", "%u", ".", "/etc").split() == [uid, "0"]
    assert "test_it.py" in _as_nobody(theirs, *option, "git", "status", "--short")
    for _ in range(2):  # the second finds the folder of the first
        done = _as_nobody(theirs, *option, PYTHON, "-m", "pytest", "-q", "test_it.py")
        assert "1 passed" in done


@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes another user")
def test_root_inside_may_give_files_to_itself(theirs: Path) -> None:
    """As `tar` of root does; on the machine they stay the caller's."""
    script = "mkdir a && touch a/b && tar cf a.tar a && rm -r a && tar xf a.tar && chown 0:0 a/b"
    _as_nobody(theirs, "sh", "-ec", script)
    assert (theirs / "a/b").stat().st_uid == NOBODY
