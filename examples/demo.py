"""The main job, for a person to watch: `make demo`.

In the lab: a bus, two containers, frames between them and the host; then the power is cut, the
machine boots, and the same containers talk again. What is shown is what candump prints in the
guest; nothing is staged.
"""

from __future__ import annotations

import sys
from time import monotonic

from lab.channel import Process
from lab.docker import Docker
from lab.errors import LabError
from lab.guest import Guest

CREATE = (
    "docker network create -d canwharf --ipam-driver null "
    "-o vxcan.dev=vcan -o vxcan.id=0 -o vxcan.peer=can bus0"
)
RUN = "docker run -d --restart always --network bus0 --name {} ecu sleep 100000"
LISTENERS = {
    "host": "candump -L -n 3 vcan0",
    "ecu1": "docker exec ecu1 candump -L -n 3 can0",
    "ecu2": "docker exec ecu2 candump -L -n 3 can0",
}
SENDERS = {
    "host": "cansend vcan0 100#00",
    "ecu1": "docker exec ecu1 cansend can0 101#0E0C01",
    "ecu2": "docker exec ecu2 cansend can0 102##5CAFE",
}
EXPECTED = {"host": {"101", "102"}, "ecu1": {"100", "102"}, "ecu2": {"100", "101"}}


class Demo:
    """Tells what it does, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = monotonic()

    def say(self, text: str) -> None:
        """One line of the story."""
        print(f"[{monotonic() - self._start:5.1f} s] {text}", flush=True)

    def show(self, guest: Guest, command: str) -> str:
        """A command as a person would type it, and what it prints."""
        self.say(f"$ {command}")
        said = guest.run(command).stdout.rstrip()
        for line in said.splitlines():
            print(f"          {line}")
        return said

    def boot(self, guest: Guest) -> None:
        """Start the driver, then Docker."""
        daemon = guest.start("python3 -m canwharf serve")
        daemon.wait_for("serving")
        self.say("canwharf serves")
        Docker(guest).start()
        self.say("Docker serves")

    def talk(self, guest: Guest) -> bool:
        """Each of the three sends a frame; whether each heard the two others once."""
        listeners = {who: guest.start(command) for who, command in LISTENERS.items()}
        for who, listener in listeners.items():
            self._await(guest, who, listener)
        for command in SENDERS.values():
            self.show(guest, command)
        good = True
        for who, listener in listeners.items():
            listener.wait(20)
            heard = [line.split()[-1] for line in listener.stdout.splitlines()]
            others = [frame for frame in heard if frame.split("#")[0] in EXPECTED[who]]
            good = good and sorted(frame[:3] for frame in others) == sorted(EXPECTED[who])
            print(f"          {who} heard  {'   '.join(others)}")
        return good

    def _await(self, guest: Guest, who: str, listener: Process) -> None:
        """Wait until the listener has its socket: the kernel lists it as a receiver."""
        path = "/proc/net/can/rcvlist_all"
        reader = f"docker exec {who} " if who != "host" else ""
        interface = "vcan0" if who == "host" else "can0"
        # Its own gateway rules are in the host's list too; candump adds one that has "raw".
        guest.run(
            f"timeout 20 sh -c 'until {reader}grep -q \"{interface}.* raw\" {path}; do :; done'"
        )
        assert listener.running


def main() -> int:
    """Run the story; 0 if everything in it came true."""
    demo = Demo()
    demo.say("booting a guest with a CAN kernel and Docker (the first time builds it: minutes)")
    with Guest() as guest:
        demo.boot(guest)
        demo.show(guest, CREATE)
        demo.show(guest, RUN.format("ecu1"))
        demo.show(guest, RUN.format("ecu2"))
        demo.show(guest, "docker exec ecu1 ip -br link")
        before = demo.talk(guest)
        demo.show(guest, "sync")  # Docker writes what runs lazily; else wait half a minute
        demo.say("cutting the power")
        guest.power_cut()
        guest.boot()
        demo.say("the machine has booted again; nothing is started by hand from here on")
        demo.boot(guest)
        guest.run(
            "timeout 60 sh -c 'until [ $(docker ps -q -f status=running | wc -l) = 2 ]; do :; done'"
        )
        demo.show(guest, "docker ps --format '{{.Names}}  {{.Status}}'")
        after = demo.talk(guest)
    if before and after:
        demo.say("each of the three heard the two others exactly once, before and after")
        return 0
    demo.say("FAILED: a listener received too few or too many frames")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"the lab failed: {error}")
