"""Compiles what the daemon imports, in the tree of a plugin; runs in another such tree.

    python3 -I -B compile.py TREE

Rule: bytecode is made that is used as it is, whatever the dates of the files: a root file system
on its way through archives and layers keeps none for certain.
"""

from __future__ import annotations

import py_compile
import sys
from importlib import import_module
from pathlib import Path

# Of the daemon's, what is only imported when it is needed.
LATER = ("http.client", "argparse")


def main(tree: str) -> None:
    """Compile canwharf, and of the standard library what is imported with it."""
    packages = f"{tree}/usr/lib/python3/dist-packages"
    sys.path.insert(0, packages)
    for name in ("canwharf.cli.serve", *LATER):
        import_module(name)
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    used = {f"{tree}{file}" for file in loaded if file and not file.startswith(tree)}
    ours = {str(path) for path in Path(packages, "canwharf").rglob("*.py")}
    for source in sorted(used | ours):
        if source.endswith(".py") and Path(source).exists():
            py_compile.compile(
                source,
                dfile=source.removeprefix(tree),
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )


if __name__ == "__main__":
    main(sys.argv[1])
