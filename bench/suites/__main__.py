"""`make suites`: run other projects' test suites, write docs/suites.md.

python3 -m bench.suites [--only NAME] [--print]
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

from bench.suites.page import Both, page
from bench.suites.run import prepare, run
from bench.suites.table import INTERFACES, SUITES
from canlab.kernel import VARIABLE
from lab.kernel import ensure_kernel

REPOSITORY = Path(__file__).resolve().parent.parent.parent
OPTIONS = ["--user", "--interfaces", ",".join(INTERFACES), "--"]
INSIDE = [sys.executable, "-m", "canlab", *OPTIONS]


def main() -> int:
    """Run, write; the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.suites", description=__doc__)
    names = [suite.name for suite in SUITES]
    parser.add_argument("--only", choices=names, help="one project, to standard output")
    parser.add_argument("--print", action="store_true", help="to standard output, change no file")
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / "build/suites", help="for the suites"
    )
    options = parser.parse_args()
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = str(ensure_kernel().program)
    results = []
    for suite in SUITES:
        if options.only in {None, suite.name}:
            print(f"suites: {suite.name}", file=sys.stderr)
            place = prepare(suite, options.folder)
            machine = run(suite, place, [], "machine")
            results.append(Both(suite, machine, run(suite, place, INSIDE, "inside")))
    text = page(results, shlex.join(["canlab", *OPTIONS]), where())
    if options.print or options.only:
        print(text)
    else:
        (REPOSITORY / "docs/suites.md").write_text(text)
    return 0


def where() -> str:
    """The machine, in a sentence, and the kernel inside."""
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    uname = subprocess.run([*INSIDE, "uname", "-r"], capture_output=True, text=True, check=True)
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    today = dt.datetime.now(dt.UTC).date()
    return (
        f"{today}: {system}, Python {platform.python_version()}, kernel {uname.stdout.strip()} inside,"
        f" started by {user}."
    )


if __name__ == "__main__":
    sys.exit(main())
