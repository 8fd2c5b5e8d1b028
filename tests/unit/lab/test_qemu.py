"""What a guest in QEMU is given, and the initramfs that hands it over."""

from __future__ import annotations

import lzma
from dataclasses import replace
from pathlib import Path

import pytest

from lab.boot import Nic, Wiring, qemu
from lab.boot.cpio import archive
from lab.boot.emulation import Emulation
from lab.boot.kvm import Kvm
from lab.errors import LabError
from lab.suites import suite_named


def entries(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Name -> mode and content, read as the kernel's buffer format says."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + length - 1].decode()
        begin = (at + 110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = mode, data[begin : begin + size]
        at = (begin + size + 3) // 4 * 4


def test_an_initramfs_holds_programs_and_folders() -> None:
    made = archive({"init": b"#!/bin/sh\n", "odd": b"12345"}, ["dev"])
    assert entries(made) == {
        "dev": (0o040755, b""),
        "init": (0o100755, b"#!/bin/sh\n"),
        "odd": (0o100755, b"12345"),
    }


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel package: one module needs another, one is built in, one is packed."""
    folder = tmp_path / "lib/modules/6.1"
    folder.mkdir(parents=True)
    (folder / "jbd2.ko").write_bytes(b"jbd2")
    (folder / "ext4.ko.xz").write_bytes(lzma.compress(b"ext4"))
    (folder / "modules.dep").write_text("ext4.ko.xz: mbcache.ko jbd2.ko\njbd2.ko:\nmbcache.ko:\n")
    (folder / "mbcache.ko").write_bytes(b"mbcache")
    (folder / "modules.builtin").write_text("kernel/drivers/virtio-pci.ko\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/busybox").write_bytes(b"busybox")
    monkeypatch.setattr(qemu, "MODULES", ("virtio_pci", "ext4"))
    return tmp_path


def test_modules_are_loaded_after_what_they_need(tree: Path) -> None:
    made = entries(qemu._initrd(tree, "6.1"))
    modules = [content for name, (_, content) in sorted(made.items()) if name.startswith("module")]
    assert modules == [b"jbd2", b"mbcache", b"ext4"]
    assert made["busybox"][1] == b"busybox"


def test_a_kernel_without_a_module_is_reported(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "MODULES", ("9p",))
    with pytest.raises(LabError, match="no module 9p"):
        qemu._initrd(tree, "6.1")


@pytest.fixture
def wiring(monkeypatch: pytest.MonkeyPatch) -> Wiring:
    monkeypatch.setattr(qemu, "ensure_tools", lambda *_: None)
    monkeypatch.setattr(qemu, "ensure_kernel", lambda *_: Path("/cache/kernel"))
    monkeypatch.setattr(qemu, "ensure_image", lambda *_: Path("/cache/image"))
    return Wiring(
        suite=suite_named("bookworm"),
        root=Path("/cache/root"),
        repository=Path("/repository"),
        share=Path("/exchange"),
        disk=7,
        line=8,
        mem="3G",
        systemd=True,
    )


@pytest.mark.parametrize(
    ("machine", "program", "console"),
    [
        ("x86_64", "qemu-system-x86_64", "console=ttyS0"),
        ("aarch64", "qemu-system-aarch64", "console=ttyAMA0"),
    ],
)
def test_each_architecture_has_its_qemu(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch, machine: str, program: str, console: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    command = Emulation().command(wiring, lambda _: None)
    assert command[0] == program
    words = command[command.index("-append") + 1].split()
    assert {console, "boot=systemd", "lab_disk=vdb", "lab_line=hvc0", "lab_share=9p"} <= {*words}
    shared = " ".join(command)
    assert "path=/repository,security_model=none,multidevs=remap,readonly=on" in shared
    assert "path=/exchange,security_model=none,multidevs=remap " in shared
    assert "file=/cache/image,readonly=on" in shared
    assert "tcg,thread=multi" in command


def test_kvm_is_not_tried_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lab.boot.kvm.DEVICE", tmp_path / "kvm")
    assert "kvm is missing, or closed" in (Kvm().obstacle() or "")
    (tmp_path / "kvm").touch()
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert Kvm().obstacle() is None
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert Emulation().obstacle() == "the lab has no QEMU machine for riscv64"


def test_a_guest_with_a_cable_has_an_interface(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    nic = Nic(cable=9, mac="02:00:00:00:09:01", address="10.9.0.1/24", host="a")
    command = Emulation().command(replace(wiring, nic=nic), lambda _: None)
    assert "dgram,id=nic,local.type=fd,local.str=9" in command
    assert "virtio-net-pci,netdev=nic,mac=02:00:00:00:09:01,romfile=" in command
    words = command[command.index("-append") + 1].split()
    assert {"lab_nic=eth0", "lab_address=10.9.0.1/24", "lab_host=a"} <= {*words}


def test_a_comma_in_a_path_is_part_of_the_path(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU reads `,` as the end of a value, and `,,` as a comma."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(qemu, "ensure_image", lambda *_: Path("/a,b/image"))
    monkeypatch.setattr(qemu, "ensure_kernel", lambda *_: Path("/a,b/kernel"))
    there = replace(wiring, repository=Path("/r,s"), share=Path("/t,u"))
    command = Emulation().command(there, lambda _: None)
    options = " ".join(command)
    for path in ("file=/a,,b/image", "path=/r,,s", "path=/t,,u", "path=/a,,b/kernel/modules"):
        assert f"{path}," in options
    assert "/a,b/kernel/vmlinuz" in command  # no list of options
