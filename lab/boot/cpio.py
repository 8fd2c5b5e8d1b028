"""Writes an initramfs: an archive in the "newc" format, as the kernel reads it.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

FILE, FOLDER = 0o100755, 0o040755
END = "TRAILER!!!"


def archive(files: Mapping[str, bytes], folders: Iterable[str]) -> bytes:
    """An archive of programs (name -> content, each executable) and empty folders."""
    entries = [*((name, FOLDER, b"") for name in folders)]
    entries += [(name, FILE, data) for name, data in files.items()]
    entries.append((END, 0, b""))
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    path = name.encode() + b"\0"
    # Inode, mode, owner, group, links, time, size, device and its kind, length of the name, check.
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
