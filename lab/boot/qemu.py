"""A guest in QEMU: the suite's ordinary Debian kernel, on two processors. See `kvm`, `emulation`.

The root folder becomes an ext4 image, as the programs of a root that is served file by file start
too slowly for Docker; the repository and the share come by 9p, which shows the host's files as
they are. An initramfs of a few modules mounts all of them and hands over to lab/init.
"""

from __future__ import annotations

import gzip
import lzma
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab import cache
from lab.boot import HERE, Nic, Wiring
from lab.boot.cpio import archive
from lab.cache import Report
from lab.errors import LabError
from lab.root import debootstrap, ensure_tools, run_tool
from lab.suites import Suite

PROCESSORS = 2

# What the initramfs needs to find the root, the shares and the agent's line.
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "ext4", "9p", "9pnet_virtio")
# ext4 asks for it by name when it mounts; newer kernels have it in a library.
OLDER = ("crc32c_generic",)
# No guest has such hardware, and it is most of the package.
LEFT_OUT = (
    "path-exclude=/usr/share/*",
    *(
        f"path-exclude={top}/modules/*/kernel/{folder}/*"
        for top in ("/lib", "/usr/lib")
        for folder in ("sound", "drivers/gpu", "drivers/media", "drivers/net/wireless")
    ),
)
UNPACK: Mapping[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    ".ko": bytes,
}


@dataclass(frozen=True, slots=True)
class Board:
    """A processor's architecture: what Debian and QEMU call it, and what its machine has."""

    debian: str
    program: str
    package: str
    machine: str
    console: str


BOARDS: Mapping[str, Board] = {
    "x86_64": Board("amd64", "qemu-system-x86_64", "qemu-system-x86", "q35", "ttyS0"),
    "aarch64": Board("arm64", "qemu-system-aarch64", "qemu-system-arm", "virt", "ttyAMA0"),
}


def no_board() -> str | None:
    """Why the lab does not know this machine's architecture, or None."""
    if platform.machine() in BOARDS:
        return None
    return f"the lab has no QEMU machine for {platform.machine()}"


def qemu_command(wiring: Wiring, accelerator: tuple[str, ...], report: Report) -> list[str]:
    """The command for a guest; `accelerator` are QEMU's words for what runs its instructions.

    Makes what it needs first: the kernel (1 min, once), the root's image (20 s, once).
    """
    board = BOARDS[platform.machine()]
    ensure_tools(report, (board.program, board.package), ("depmod", "kmod"))
    kernel = ensure_kernel(wiring.suite, board, report)
    words = (
        *(f"console={board.console}", *wiring.words),
        *("lab_disk=vdb", "lab_line=hvc0", "lab_share=9p"),
        *(("lab_nic=eth0",) if wiring.nic else ()),
    )
    return [
        *(board.program, "-machine", board.machine, *accelerator, "-smp", str(PROCESSORS)),
        *("-m", wiring.mem, "-nodefaults", "-no-reboot", "-display", "none"),
        *("-kernel", str(kernel / "vmlinuz"), "-initrd", str(kernel / "initrd")),
        *("-append", " ".join(words)),
        *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
        *_drive("root", f"file={_value(ensure_image(wiring.root, report))},readonly=on"),
        *_drive("disk", f"file=/proc/self/fd/{wiring.disk}"),
        *("-chardev", f"socket,id=line,fd={wiring.line}", "-device", "virtio-serial-pci"),
        *("-device", "virtconsole,chardev=line"),
        *_folder("repo", wiring.repository, "readonly=on"),
        *_folder("share", wiring.share),
        *_folder("modules", kernel / "modules", "readonly=on"),
        *(_nic(wiring.nic) if wiring.nic else ()),
    ]


def _value(path: Path) -> str:
    """A path within a list of options, where a comma ends a value and two are one of it."""
    return str(path).replace(",", ",,")


def _drive(name: str, options: str) -> Iterator[str]:
    yield from ("-drive", f"if=none,id={name},format=raw,{options}")
    yield from ("-device", f"virtio-blk-pci,drive={name}")


def _folder(tag: str, path: Path, *options: str) -> Iterator[str]:
    how = ",".join(("security_model=none", "multidevs=remap", *options))
    yield from ("-fsdev", f"local,id={tag},path={_value(path)},{how}")
    yield from ("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}")


def _nic(nic: Nic) -> Iterator[str]:
    yield from ("-netdev", f"dgram,id=nic,local.type=fd,local.str={nic.cable}")
    yield from ("-device", f"virtio-net-pci,netdev=nic,mac={nic.mac},romfile=")


def ensure_image(root: Path, report: Report) -> Path:
    """An image of a root folder, read-only for its guests."""

    def make(target: Path) -> None:
        used = sum(path.lstat().st_blocks * 512 for path in root.rglob("*"))
        with target.open("xb") as file:
            file.truncate(used + used // 4 + (128 << 20))  # bytes; for the file system itself
        run_tool(["mkfs.ext4", "-q", "-F", "-d", str(root), str(target)])

    return cache.entry(f"image-{root.name}", f"the image of {root.name}", make, report)


def ensure_kernel(suite: Suite, board: Board, report: Report) -> Path:
    """A folder with the suite's ordinary kernel: `vmlinuz`, `initrd` and `modules`."""
    packages = (f"linux-image-{board.debian}", "busybox-static")

    def make(target: Path) -> None:
        ensure_tools(report)
        tree = target / "tree"
        row = replace(suite, packages=packages)
        how = ["--variant=extract", f"--architectures={board.debian}"]
        target.mkdir()
        debootstrap(row, tree, how, report, dpkg=LEFT_OUT)
        if not (tree / "lib").exists():  # since trixie the package has /usr/lib only
            (tree / "lib").symlink_to("usr/lib")
        release = next((tree / "lib/modules").iterdir()).name
        run_tool(["depmod", "--basedir", str(tree), release])
        shutil.move(tree / "boot" / f"vmlinuz-{release}", target / "vmlinuz")
        (target / "initrd").write_bytes(_initrd(tree, release))
        shutil.move(tree / "lib/modules", target / "modules")
        shutil.rmtree(tree)

    recipe = cache.key(packages, LEFT_OUT, OLDER, MODULES, (HERE / "initrd").read_bytes())
    name = f"kernel-{suite.name}-{board.debian}-{recipe}"
    return cache.entry(name, f"{suite.name}'s ordinary kernel", make, report)


def _initrd(tree: Path, release: str) -> bytes:
    """An initramfs: busybox, the script `initrd`, and the modules in the order of loading."""
    busybox = next(
        path for path in (tree / "bin/busybox", tree / "usr/bin/busybox") if path.exists()
    )
    files = {"init": (HERE / "initrd").read_bytes(), "busybox": busybox.read_bytes()}
    for number, path in enumerate(_in_order(tree / "lib/modules" / release)):
        files[f"module.{number:02}"] = UNPACK[path.suffix](path.read_bytes())
    return archive(files, folders=("dev", "root"))


def _in_order(folder: Path) -> Iterator[Path]:
    """The files of MODULES and of what they need, each after what it needs (modules.dep(5))."""
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    by_name = {Path(path).name.split(".")[0].replace("-", "_"): path for path in needs}
    built_in = (folder / "modules.builtin").read_text()
    done: dict[str, None] = {}
    for module in (*OLDER, *MODULES):
        if module in by_name:
            path = by_name[module]
            done.update(dict.fromkeys([*reversed(needs[path]), path]))
        elif module in MODULES and f"/{module}.ko" not in built_in.replace("-", "_"):
            raise LabError(f"the kernel package has no module {module}")
    return (folder / path for path in done)
