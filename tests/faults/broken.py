"""A machine whose canwharf does not start: the ways to break it, and what is seen then."""

from __future__ import annotations

from typing import NamedTuple

from lab.guest import Guest
from tests.world.installed import PROGRAM, Installed

STATE = "/var/lib/canwharf"
VENV = "/opt/canwharf"
INTACT = "env -u PYTHONPATH /opt/new.pyz"  # the program, where nothing breaks it
NAMES = ("ecu1", "ecu2")
DROP_IN = "/etc/systemd/system/canwharf.service.d"
_KEEP = f"cp -p {PROGRAM} /opt/keep"
_PUT_BACK = f"cp -p /opt/keep {PROGRAM}"
_MAKE_VENV = f"""
rm -rf {VENV} && python3 -m venv --without-pip {VENV}
cp -r /repo/src/canwharf {VENV}/lib/python3*/site-packages/
printf '#!{VENV}/bin/python\\nimport sys\\nfrom canwharf.cli import main\\nsys.exit(main())\\n' \
    > {VENV}/bin/canwharf
chmod 755 {VENV}/bin/canwharf
"""
# A directory that can be read and not written, from early in the boot on.
_READ_ONLY = r"""printf '[Unit]\nDefaultDependencies=no\nBefore=sysinit.target\n'\
'After=local-fs.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\n'\
'ExecStart=/bin/mount --bind /var/lib/canwharf /var/lib/canwharf\n'\
'ExecStart=/bin/mount -o remount,bind,ro /var/lib/canwharf\n[Install]\n'\
'WantedBy=sysinit.target\n' > /etc/systemd/system/ro.service && systemctl enable -q ro.service"""


def script(text: str) -> str:
    """A command that puts a shell script in the program's place."""
    return f"{_KEEP}; printf '#!/bin/sh\\n{text}\\n' > {PROGRAM}"


class Broken(NamedTuple):
    """A way to break it, the way back, and a word by which the doctor tells of it."""

    break_it: str
    fix_it: str
    words: str


# Docker comes up without the containers of a bus, and says why each does not start.
REFUSED = {
    "ends with a failure": Broken(script("echo no luck >&2; exit 1"), _PUT_BACK, "no luck"),
    "ends without one": Broken(script("exit 0"), _PUT_BACK, "protocol"),
    "dies of a signal": Broken(script("kill -SEGV $$"), _PUT_BACK, "core-dump|signal"),
    "hangs": Broken(script("sleep 100000"), _PUT_BACK, "timeout"),
    "is slower than ten seconds": Broken(
        script('sleep 20; exec python3 -I /opt/keep "$@"'), _PUT_BACK, "timeout"
    ),
    "the interpreter is gone": Broken(
        f"{_KEEP}; sed -i '1s|.*|#!/opt/gone/python3|' {PROGRAM}", _PUT_BACK, "No such file"
    ),
    "a module is gone": Broken(
        f"{_KEEP}; printf '#!/usr/bin/python3\\nimport canwharfs\\n' > {PROGRAM}",
        _PUT_BACK,
        "ModuleNotFoundError: No module named",
    ),
    "may not be executed": Broken(
        f"chmod 644 {PROGRAM}", f"chmod 755 {PROGRAM}", "Permission denied"
    ),
    "the state directory is a file": Broken(
        f"mv {STATE} /srv/state && touch {STATE}",
        f"rm {STATE} && mv /srv/state {STATE}",
        "Not a directory",
    ),
    "the state directory leads nowhere": Broken(
        f"mv {STATE} /srv/state && ln -s /mnt/away {STATE}",
        f"rm {STATE} && mv /srv/state {STATE}",
        "a link to /mnt/away",
    ),
}

# An operator's own changes, for which systemd does not even open the socket: Docker looks for the
# driver for a while, and comes up.
UNUSABLE = {
    "a drop-in is wrong": Broken(
        f"mkdir {DROP_IN}; printf '[Service]\\nExecStart=\\n' > {DROP_IN}/wrong.conf",
        f"rm -r {DROP_IN}; systemctl daemon-reload",
        "systemd cannot start canwharf.service: bad-setting",
    ),
    "the unit is masked": Broken(
        "mv /etc/systemd/system/canwharf.service /srv/ && systemctl mask canwharf.service",
        "systemctl unmask canwharf.service; mv /srv/canwharf.service /etc/systemd/system/; "
        "systemctl daemon-reload; systemctl enable -q canwharf.service",
        "systemd cannot start canwharf.service: masked",
    ),
}

# It starts all the same, and the containers of a bus are back by themselves.
BACK = {
    "nothing is broken": ("true", "true"),
    "takes five seconds": (script('sleep 5; exec python3 -I /opt/keep "$@"'), _PUT_BACK),
    "the state directory is a link": (
        f"mv {STATE} /srv/state && ln -s /srv/state {STATE}",
        f"rm {STATE} && mv /srv/state {STATE}",
    ),
    "the state directory has no permissions": (f"chmod 0 {STATE}", "true"),
    "the state directory is another user's": (f"chown 65534:65534 {STATE}; chmod 700 {STATE}", ":"),
    "the state is another user's": (f"chown 65534 {STATE}/state.json", "true"),
    "the state has no permissions": (f"chmod 0 {STATE}/state.json", "true"),
}
READ_ONLY = (
    _READ_ONLY,
    f"systemctl disable -q ro.service; systemctl stop canwharf.service; umount {STATE}",
)
# Seconds: more than the slowest guest on a busy machine takes, and much less than for ever.
LIMIT = 300


class Machine(Installed):
    """With two containers on a bus, and one that has none, all of which start at a boot."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self.put_program()
        self.canwharf("install")
        self.network()
        for name in NAMES:
            self.container(name, more="--restart always")
        self.container("plain", "none", more="--restart always")

    def put_venv(self) -> None:
        """Install from a virtual environment."""
        self.sh(_MAKE_VENV)
        self.sh(f"env -u PYTHONPATH {VENV}/bin/canwharf install")

    def boot_broken(self) -> float:
        """Cut the power and boot; the seconds since then when `docker ps` has answered."""
        self.guest.run("sync")
        self.guest.power_cut()
        self.guest.boot()
        return self.docker_answers()

    def docker_answers(self) -> float:
        """Ask it, and wait as a person does; the seconds since the boot. Fails if it hangs."""
        self.sh(f"timeout {LIMIT} docker ps -q", timeout=LIMIT + 30)
        return float(self.sh("cut -d' ' -f1 /proc/uptime"))

    def restart_docker(self) -> float:
        """As an upgrade of it does; the seconds until it answers."""
        before = float(self.sh("cut -d' ' -f1 /proc/uptime"))
        self.sh(f"timeout {LIMIT} systemctl restart docker", timeout=LIMIT + 30)
        return self.docker_answers() - before

    def running(self) -> set[str]:
        """The containers that run."""
        return set(self.sh("docker ps --format '{{.Names}}'").split())

    def doctor(self) -> list[str]:
        """Its failures, by a program that is intact; there must be some."""
        done = self.guest.run(f"{INTACT} doctor", check=False)
        assert done.status == 1, done.stdout
        return [line for line in done.stdout.splitlines() if line.startswith("failure")]

    def assert_well(self) -> None:
        """The containers run and are connected."""
        self.assert_exactly_once("host:vcan0", *(self.member(name) for name in NAMES))
