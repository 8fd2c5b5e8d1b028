"""A copy of a program in a virtual environment, which outlives that environment.

Theory of operation. A virtual environment belongs to one minor version of Python: an upgrade of the
distribution takes its interpreter away, and a service in it would not start any more. canwharf is
pure Python and needs nothing else, so the service of such a program runs a copy of it: one zipapp,
by the system's own `python3` of any version.

Rules:

- It has the sources, and the bytecode of the Python that wrote it. Another Python compiles the
  sources at each start, which takes about twice as long, until `canwharf install` writes it again.
- The packages of an extra are not in it. They are found in the environment while that exists.
- It is written only if the system's Python can run this package.
"""

from __future__ import annotations

import io
import marshal
import os
import sys
import zipfile
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER, source_hash

import canwharf
from canwharf.operator.service import program

FILE = "/usr/local/lib/canwharf/canwharf.pyz"
PYTHON = "/usr/bin/python3"
_HASHED = (1).to_bytes(4, "little")  # PEP 552: by hash, and not compared with the source
_PACKAGE = os.path.dirname(canwharf.__file__)


def wanted() -> bool:
    """Whether this program should have one, and the system's Python can run it."""
    return sys.prefix != sys.base_prefix and os.path.isdir(_PACKAGE) and _runs()


def make() -> bytes:
    """The copy, as the bytes of an executable file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:  # stored: reading it needs no zlib
        for name, source in _sources():
            archive.writestr(zipfile.ZipInfo(name), source)
            code = compile(source, name, "exec", dont_inherit=True)
            head = MAGIC_NUMBER + _HASHED + source_hash(source)
            archive.writestr(zipfile.ZipInfo(f"{name}c"), head + marshal.dumps(code))
    return f"#!{PYTHON} -IS\n".encode() + packed.getvalue()


def is_same(old: bytes, new: bytes) -> bool:
    """Whether two copies have the same sources, and bytecode for the same Python."""
    return _contents(old) == _contents(new)


def _contents(copy: bytes) -> dict[str, bytes]:
    """The files; of bytecode, which marshal writes otherwise each time, what it was made from."""
    try:
        with zipfile.ZipFile(io.BytesIO(copy)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except zipfile.BadZipFile:
        return {}
    return {name: data[:16] if name.endswith(".pyc") else data for name, data in files.items()}


def _sources() -> Iterator[tuple[str, bytes]]:
    """The files of the package, and what runs it."""
    site = os.path.dirname(_PACKAGE)
    yield "__main__.py", _main(site).encode()
    for folder, folders, files in os.walk(_PACKAGE):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    yield os.path.relpath(path, site), file.read()


def _main(site: str) -> str:
    return (
        "import sys\n"
        f"sys.path.append({site!r})  # for extras\n"
        "from canwharf.cli import main\n"
        "sys.exit(main())\n"
    )


def _runs() -> bool:
    """Whether the system's Python runs this package."""
    site = os.path.dirname(_PACKAGE)
    code = f"import sys; sys.path.insert(0, {site!r}); from canwharf.cli import main; main()"
    return program.version([PYTHON, "-IS", "-c", code]) == f"canwharf {canwharf.__version__}"
