"""What canlab costs: its start, and work inside against the same work on the machine.

python3 -m bench.canlab [--print]       as an ordinary user or root; a minute; docs/ci-benchmarks.md
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from canlab.kernel import VARIABLE
from lab.kernel import ensure_kernel

PAGE = Path(__file__).resolve().parent.parent / "docs/ci-benchmarks.md"
REPEATS = 5

# Each prints its seconds; the folder `d` is its own.
BEGIN = "import os, sys, tempfile, time, zlib; d = tempfile.mkdtemp(dir='.'); n = 1000\n"
FILES = "for i in range(n): open(f'{d}/{i}', 'w').write('x' * 1000)\n"
START = "t = time.perf_counter()\n"
END = "\nprint(time.perf_counter() - t); os.system('rm -r ' + d)"
CASES = {
    "arithmetic in Python": START + "sum(i * i % 7 for i in range(2_000_000))",
    "compression in C": "b = os.urandom(1 << 20) * 8\n" + START + "zlib.compress(b)",
    "making 1000 files": START + FILES,
    "reading 1000 files": FILES + START + "for i in range(n): open(f'{d}/{i}').read()",
    "asking for 1000 files (stat)": FILES + START + "for i in range(n): os.stat(f'{d}/{i}')",
    "listing a folder of 1000 files": FILES + START + "for _ in range(50): os.listdir(d)",
    "writing 50 MB": START + "with open(d + '/a', 'wb') as f: f.write(bytes(50_000_000))",
    "starting 50 programs": START + "for _ in range(50): os.spawnv(0, '/bin/true', ['true'])",
}
HEAD = """\
# What canlab costs

Made by `make bench` (`python3 -m bench.canlab`): the median of {repeats} runs, each against one on the machine. On
a busy machine the ratios are greater, as the guest has to wait twice; `chrt -r 10` in front keeps others away.

A run of `true` takes {start:.2f} s longer than without canlab, from its start to its end, and {docker:.0f} s longer with
`--docker`.

| work | times as long as on the machine |
| --- | --- |
"""
TAIL = """
What is slow, and why:

- A system call takes 10 to 12 µs inside, whatever it does, as it is two switches between processes of the machine.
  Python makes 8 of them to read a file; large reads and writes are less slow than small ones.
- Of each path, the kernel asks the machine about each part again, as the machine may have changed it. That is 8 of the
  20 µs of a stat; a cache of it would not make it fast.
- To start a program, its memory is made by many system calls of the machine.

Work for the processor is not slow, once its memory has been touched.
"""


def seconds(program: str, prefix: list[str]) -> float:
    """What a program says of itself."""
    command = [*prefix, sys.executable, "-c", BEGIN + program + END]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def wall(command: list[str]) -> float:
    """How long a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Measure, write."""
    arguments = argparse.ArgumentParser(prog="python3 -m bench.canlab", description=__doc__)
    arguments.add_argument("--print", action="store_true", help="to standard output")
    shown = arguments.parse_args().print
    os.environ.setdefault(VARIABLE, str(ensure_kernel().program))
    inside = [sys.executable, "-m", "canlab"]
    start = median(wall([*inside, "true"]) - wall(["true"]) for _ in range(REPEATS))
    docker = median(wall([*inside, "--docker", "true"]) for _ in range(REPEATS))
    text = HEAD.format(repeats=REPEATS, start=start, docker=docker)
    for name, program in CASES.items():
        ratio = median(seconds(program, inside) / seconds(program, []) for _ in range(REPEATS))
        text += f"| {name} | {ratio:.1f} |\n"
    text += TAIL
    if shown:
        print(text)
    else:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
