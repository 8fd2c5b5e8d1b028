"""The wheel canwharf-kernel: the lab's own kernel for everybody's tests.

    python -m lab.kernel_wheel dist             # `make kernel`: dist/canwharf_kernel-VERSION-….whl
    python -m lab.kernel_wheel dist --source    # and the archive of its source, for a release

What a wheel has beside the kernel is in packages/canwharf-kernel. The same kernel gives the same
wheel, byte for byte.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.cache import Report, say
from lab.errors import LabError
from lab.kernel import FRAGMENT, PATCHES, STEPS, Kernel, ensure_kernel, ensure_source
from lab.machine import REPOSITORY

DISTRIBUTION = REPOSITORY / "packages/canwharf-kernel"


def build(kernel: Kernel, folder: Path) -> Path:
    """Make the wheel of a kernel; its path. Raises LabError when hatchling fails."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="canwharf-kernel-") as name:
        place = Path(name, "kernel")
        _lay_out(kernel, place)
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", name]
        # hatchling gives each file of the archive this date.
        fixed = {"SOURCE_DATE_EPOCH": "1580601600", "CANWHARF_KERNEL_VERSION": kernel.version}
        done = subprocess.run(
            command,
            cwd=place,
            env={**os.environ, **fixed},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(f"the wheel's build failed:\n{done.stdout}{done.stderr}")
        (made,) = Path(name).glob("*.whl")
        return Path(shutil.copy(made, folder / made.name))


def _lay_out(kernel: Kernel, place: Path) -> None:
    """The distribution as hatchling wants it: its folder, and the kernel in its package."""
    shutil.copytree(DISTRIBUTION, place, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(kernel.licenses, place / "licenses")
    shutil.copy(REPOSITORY / "LICENSE", place / "licenses/MIT.module")
    source = place / "SOURCE.md"
    lines = "".join(f"- {line}\n" for line in kernel.made_of).rstrip()
    source.write_text(source.read_text().replace("@MADE_OF@", lines))
    package = place / "src/canwharf_kernel"
    shutil.copy(kernel.program, package / "linux")
    for file in (kernel.config, STEPS, FRAGMENT, source):
        shutil.copy(file, package)
    shutil.copytree(PATCHES, package / PATCHES.name)
    shutil.copytree(kernel.modules, package / "modules" / kernel.release)


def main(words: list[str], report: Report = say) -> int:
    """Make it as the command line says; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.kernel_wheel", description="Make the wheel canwharf-kernel."
    )
    parser.add_argument("folder", type=Path, help="where it is written")
    parser.add_argument(
        "--source", action="store_true", help="write the archive of the kernel's source, too"
    )
    options = parser.parse_args(words)
    try:
        made = [build(ensure_kernel(report), options.folder)]
        if options.source:
            made.append(Path(shutil.copy(ensure_source(report), options.folder)))
    except LabError as error:
        report(str(error))
        return 1
    for path in made:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
