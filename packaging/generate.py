"""What a package has beside the program, made of the program's own tables.

    python3 generate.py TARGET /usr/bin/canwharf

Below TARGET come systemd's units (for that program), the list of kernel modules that are loaded
at a boot, the manual page and bash's completion, each where a distribution has it. Whatever
packages canwharf runs this: Debian's rules and Yocto's recipe do.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "src"))

import completion  # noqa: E402 (from here on, canwharf is found)
import manual  # noqa: E402

from canwharf.daemon import instance  # noqa: E402
from canwharf.operator.service import modules, units  # noqa: E402


def files(program: str) -> dict[str, str]:
    """Path and text of each."""
    made = units.files(instance.usual(instance.DEFAULT_NAME), [program])
    return {
        **{f"usr/lib/systemd/system/{Path(path).name}": text for path, text in made.items()},
        f"usr/lib/modules-load.d/{Path(modules.FILE).name}": modules.text(modules.USUAL),
        "usr/share/man/man1/canwharf.1": manual.page(),
        "usr/share/bash-completion/completions/canwharf": completion.script(),
    }


def main() -> None:
    """Write them."""
    target, program = sys.argv[1:]
    for name, text in files(program).items():
        path = Path(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
