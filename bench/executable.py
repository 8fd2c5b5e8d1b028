"""What a call by the executable of Podman and CNI costs, from its start to its end.

Against the start of a bare interpreter with the same flags, in turns. The calls are those that
change nothing, so nearly all of it is the executable's own start. A start is short against what
else a machine does, so of the repeats the shortest counts.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from time import perf_counter
from typing import Any

import canwharf.plugin
from bench.inside import Caller, Driver

_SOCKETS = "/run/docker/plugins"  # where it looks, by its own name
_BARE = ("/usr/bin/python3", "-I", "-S", "-c", "pass")
CALLS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "Podman": (("info",), {}),
    "CNI": ((), {"CNI_COMMAND": "VERSION"}),
}


def executable(repeats: int) -> dict[str, Any]:
    """The shortest of the repeats of each call, and of the bare start beside it (seconds)."""
    program = Path("/opt/executable/canwharf")
    program.parent.mkdir()
    shutil.copy(canwharf.plugin.__file__, program)
    program.chmod(0o755)
    Path(_SOCKETS).mkdir(parents=True, exist_ok=True)
    driver = Driver("canwharf", _SOCKETS)
    driver.start()
    Caller(driver.socket).call("Plugin.Activate")
    bare = []
    calls: dict[str, list[float]] = {name: [] for name in CALLS}
    for _repeat in range(repeats):
        bare.append(_seconds(_BARE, {}))
        for name, (words, variables) in CALLS.items():
            calls[name].append(_seconds((str(program), *words), variables))
    driver.kill()
    shutil.rmtree(driver.state)
    shortest = {name: min(each) for name, each in calls.items()}
    return {"repeats": repeats, "bare": min(bare), "calls": shortest}


def _seconds(command: tuple[str, ...], variables: dict[str, str]) -> float:
    """How long a command takes. It must succeed."""
    started = perf_counter()
    subprocess.run(command, input=b"{}", env=variables, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - started
