"""A board as its owner set it up: real systemd, and canwharf from the zipapp or the package."""

from __future__ import annotations

from lab.guest import Guest
from tests.world.board import SOCKET, Board

PROGRAM = "/usr/local/bin/canwharf"
OLD = "0.0.9"  # a version before this one
MAKE_PROGRAMS = f"""\
mkdir -p /opt/old/src && cp -r /repo/packaging /opt/old && cp -r /repo/src/canwharf /opt/old/src
echo '__version__ = "{OLD}"' > /opt/old/src/canwharf/__init__.py
/repo/packaging/zipapp.sh python3 /opt/new.pyz && /opt/old/packaging/zipapp.sh python3 /opt/old.pyz
rm -r /opt/old
"""


class Booted(Board):
    """A board that starts Docker and canwharf by itself when it boots."""

    program = PROGRAM

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self.wait_up()

    def wait_up(self) -> None:
        """Wait for the end of the boot; every unit must have started."""
        state = self.sh("systemctl is-system-running --wait", check=False)
        assert state == "running", f"{state}\n{self.state()}"

    def boot_after_power_cut(self) -> None:
        """As after a lost power supply, half a minute after anything was done."""
        self.guest.run("sync")
        self.guest.power_cut()
        self.guest.boot()
        self.wait_up()

    def canwharf(self, words: str) -> list[str]:
        """The lines that it prints, with nothing of the lab's in its environment."""
        return self.sh(f"env -u PYTHONPATH {self.program} {words}").splitlines()

    def refusal(self, words: str, before: str = "") -> str:
        """Its error, where it must have one."""
        return self.refused(f"{before} env -u PYTHONPATH {self.program} {words}")

    def property(self, unit: str, name: str) -> str:
        """What systemd says of a unit."""
        return self.sh(f"systemctl show -P {name} {unit}")

    def log(self, unit: str = "canwharf.service") -> str:
        """What the journal has of a unit since the boot."""
        return self.sh(f"journalctl --quiet -b -o short-monotonic --no-pager -u {unit}")

    def state(self) -> str:
        """Everything that helps to understand a failure."""
        commands = (
            "systemctl --no-pager --failed",
            "systemctl --no-pager status canwharf.service canwharf.socket docker.service",
            "ip -d link",
            "cangw -L",
            "docker ps -a",
            "journalctl -b --no-pager -u canwharf.service -u canwharf.socket -u docker.service",
        )
        return "\n".join(f"$ {each}\n{self.sh(each, check=False)}" for each in commands)

    def traces(self) -> list[str]:
        """Files that a machine without canwharf does not have."""
        found = self.sh(
            "find / -xdev -name '*canwharf*' -not -path '/repo/*'; ls -d /run/canwharf "
            f"{SOCKET} /run/systemd/system/*canwharf* 2>/dev/null",
            check=False,
        )
        return [line for line in found.splitlines() if line != PROGRAM]


class Installed(Booted):
    """With `canwharf install`, from a zipapp."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self.sh(MAKE_PROGRAMS)

    def put_program(self, which: str = "new") -> None:
        """Copy a zipapp to where a user would."""
        self.sh(f"install -m 755 /opt/{which}.pyz {PROGRAM}")
