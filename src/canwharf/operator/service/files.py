"""Read and replace the service's files as a whole; errors name the path."""

from __future__ import annotations

import os

from canwharf import durable
from canwharf.errors import InstallError


def kept(path: str) -> str:
    """The path that keeps a file's old text; no program reads it."""
    return f"{path}.old"


def read(path: str) -> bytes | None:
    """The file's content; None if there is none. Raises InstallError."""
    try:
        return durable.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InstallError(f"cannot read {path}: {error}") from error


def replace(path: str, new: bytes, mode: int = 0o644) -> None:
    """Replace a file's content; make its directory if needed. Raises InstallError."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        durable.replace(path, new, mode)
    except OSError as error:
        raise InstallError(f"cannot write {path}: {error.strerror}") from error
