"""Root's machine with systemd."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from canwharf.cli import install, uninstall
from canwharf.daemon import instance
from canwharf.daemon.instance import Instance
from canwharf.kernel import modules as kernel_modules
from canwharf.kernel.needed import CONFIGURED, LOADABLE
from canwharf.operator.service import executables, modules, package, portable, program, units
from tests.unit.cli.machine import System


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """Root's machine with systemd; its files are below tmp_path."""
    made = System()
    for module in (install, uninstall, modules):
        monkeypatch.setattr(module, "run" if module is modules else "command", made.run)
    monkeypatch.setattr(install, "succeeds", made.succeeds)
    monkeypatch.setattr(install, "_BOOTED", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    states = dict.fromkeys(CONFIGURED, LOADABLE)
    monkeypatch.setattr(kernel_modules, "states", lambda: states)
    monkeypatch.setattr(modules, "FILE", str(tmp_path / "modules" / "canwharf.conf"))
    monkeypatch.setattr(units, "_DIRECTORY", str(tmp_path / "units"))
    monkeypatch.setattr(package, "_DIRECTORIES", ())
    monkeypatch.setattr(instance, "FOR_USERS", str(tmp_path / "users"))
    monkeypatch.setattr(portable, "wanted", lambda: False)
    monkeypatch.setattr(portable, "FILE", str(tmp_path / "lib" / "canwharf.pyz"))
    monkeypatch.setattr(install, "call", made.call)
    monkeypatch.setattr(install, "_is_socket", lambda _path: made.file)
    monkeypatch.setattr(program, "check", lambda _words: None)
    monkeypatch.setattr(program, "words", lambda: ["/opt/canwharf/bin/canwharf"])
    monkeypatch.setattr(executables, "_PROGRAM", "no-podman")
    monkeypatch.setattr(executables, "_NETAVARK", str(tmp_path / "netavark"))
    monkeypatch.setattr(executables, "_FOLDERS", (str(tmp_path / "cni"),))
    # Not those of a service on this machine.
    monkeypatch.setattr(Instance, "spans", str(tmp_path / "canwharf.spans"))
    monkeypatch.setattr(Instance, "names_directory", str(tmp_path / "names"))
    (tmp_path / "units").mkdir()
    return made
