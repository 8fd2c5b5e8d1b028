"""The wheel canwharf-kernel: what a user of it gets, with a program that stands for the kernel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import kernel_wheel
from lab.errors import LabError
from lab.kernel import Kernel

MADE_OF = "linux 7.2.13-1 linux-source-7.2.tar.xz sha256:12ab\nglibc 2.36-9+deb12u14 libc.a\n"


def kernel(folder: Path) -> Kernel:
    """A folder as lab/kernel.sh leaves it."""
    modules = folder / "usr/lib/uml/modules/7.2.13-canwharf"
    for path in (folder / "usr/bin", folder / "licenses", modules):
        path.mkdir(parents=True)
    made = Kernel(folder)
    made.program.write_text("#!/bin/sh\necho a kernel\n")
    made.program.chmod(0o755)
    made.config.write_text("CONFIG_CAN=y\n")
    (folder / "made-of").write_text(MADE_OF)
    (folder / "licenses/GPL-2.0").write_text("the license\n")
    (modules / "modules.builtin").write_text("kernel/drivers/net/can/vcan.ko\n")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(kernel_wheel.build(kernel(folder / "kernel"), folder / "dist")) as opened:
        yield opened


def installed(wheel: zipfile.ZipFile, folder: Path) -> Path:
    """An environment with the wheel, as pip makes it."""
    environment = folder / "environment"
    assert wheel.filename is not None
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", environment, wheel.filename], check=True)
    return environment


def test_the_wheel_is_for_any_c_library_of_one_processor(wheel: zipfile.ZipFile) -> None:
    """A wheel that pip takes for another machine's, or for every machine, is of no use."""
    assert wheel.filename is not None
    assert Path(wheel.filename).name == (
        "canwharf_kernel-7.2.13-py3-none-"
        "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64.whl"
    )
    assert b"Root-Is-Purelib: false" in wheel.read("canwharf_kernel-7.2.13.dist-info/WHEEL")


def test_the_kernel_is_a_program_after_an_installation(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    code = """
import subprocess
import canwharf_kernel
print(subprocess.check_output(canwharf_kernel.path(), text=True).strip())
print(canwharf_kernel.version())
modules = canwharf_kernel.modules()
print(*sorted(path.relative_to(modules) for path in modules.rglob("*")))
print(canwharf_kernel.license())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(installed(wheel, tmp_path))},
        capture_output=True,
        text=True,
        check=True,
    )
    program, version, modules, *text = done.stdout.splitlines()
    assert (program, version) == ("a kernel", "7.2.13")
    assert modules == "7.2.13-canwharf 7.2.13-canwharf/modules.builtin"
    assert text[0].startswith("# Licenses")


def test_the_wheel_says_what_the_gpl_asks_for(wheel: zipfile.ZipFile) -> None:
    """The license, the exact source, the build's steps and the configuration."""
    source = wheel.read("canwharf_kernel/SOURCE.md").decode()
    assert [line for line in source.splitlines() if line.startswith("- linux ")] == [
        "- linux 7.2.13-1 linux-source-7.2.tar.xz sha256:12ab"
    ]
    assert "- glibc 2.36-9+deb12u14 libc.a\n" in source
    assert "@" not in source
    assert "Written offer" in source
    assert wheel.read("canwharf_kernel/config") == b"CONFIG_CAN=y\n"
    assert {"canwharf_kernel/kernel.sh", "canwharf_kernel/kernel.config"} <= {*wheel.namelist()}
    assert "canwharf_kernel/kernel.patches/1-one-processor.patch" in wheel.namelist()
    licenses = "canwharf_kernel-7.2.13.dist-info/licenses/licenses"
    assert wheel.read(f"{licenses}/GPL-2.0") == b"the license\n"
    assert b"MIT" in wheel.read(f"{licenses}/MIT.module")
    metadata = wheel.read("canwharf_kernel-7.2.13.dist-info/METADATA").decode()
    assert "License-Expression: GPL-2.0-only WITH Linux-syscall-note AND LGPL" in metadata


def test_the_same_kernel_gives_the_same_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    assert wheel.filename is not None
    again = kernel_wheel.build(kernel(tmp_path / "kernel"), tmp_path)
    assert again.read_bytes() == Path(wheel.filename).read_bytes()


def test_a_failed_build_has_hatchlings_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kernel(tmp_path / "kernel")
    monkeypatch.setattr(Kernel, "version", "no version")
    with pytest.raises(LabError, match=r"the wheel's build failed:\n(.*\n)*.*no version"):
        kernel_wheel.build(made, tmp_path / "dist")
    assert not [*(tmp_path / "dist").iterdir()]
