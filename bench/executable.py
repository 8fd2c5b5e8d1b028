"""What a call by the executable of Podman and CNI costs, from its start to its end.

Against the start of a bare interpreter with the same flags, beside it in each round. The calls are
those that change nothing, so nearly all of it is the executable's own start.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from time import perf_counter

import canwharf.plugin
from bench.inside import Caller, Driver
from bench.spread import spread

_SOCKETS = "/run/docker/plugins"  # where it looks, by its own name
_BARE = ("/usr/bin/python3", "-I", "-S", "-c", "pass")
CALLS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "Podman": (("info",), {}),
    "CNI": ((), {"CNI_COMMAND": "VERSION"}),
}


def executable(repeats: int) -> dict[str, dict[str, float]]:
    """Each call in times of the bare start beside it."""
    program = Path("/opt/executable/canwharf")
    program.parent.mkdir()
    shutil.copy(canwharf.plugin.__file__, program)
    program.chmod(0o755)
    Path(_SOCKETS).mkdir(parents=True, exist_ok=True)
    driver = Driver("canwharf", _SOCKETS)
    driver.start()
    Caller(driver.socket).call("Plugin.Activate")
    ratios: dict[str, list[float]] = {name: [] for name in CALLS}
    for number in range(repeats + 1):
        for name, (words, variables) in CALLS.items():
            bare = _seconds(_BARE, {})
            ratio = _seconds((str(program), *words), variables) / bare
            if number:  # the first call loads the front end into the daemon
                ratios[name].append(ratio)
    driver.kill()
    shutil.rmtree(driver.state)
    return {name: spread(each) for name, each in ratios.items()}


def _seconds(command: tuple[str, ...], variables: dict[str, str]) -> float:
    """How long a command takes. It must succeed."""
    started = perf_counter()
    subprocess.run(command, input=b"{}", env=variables, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - started
