"""canlab: run any command with CAN interfaces of its own, without root.

Theory of operation
-------------------
Many machines have no CAN in their kernel, and nobody may load a module there: CI runners,
containers, WSL. User-Mode Linux is a Linux kernel that is an ordinary program. So canlab starts one
that has all of CAN, with the root folder of this machine as its root (hostfs), and runs the command
in it. The command sees the same files, with the rights of the caller, over a network of its own.

    caller's terminal, pipes
      front (this process)  ==line==  guest/agent, pid 1 of the guest's kernel
                                        the command

- `front` starts the kernel (`boot`) and relays: standard input, output and error, the terminal,
  signals, the exit status.
- `guest` runs in the guest: it mounts what a machine has (`mounts`), makes the interfaces
  (`netlink`, `interfaces`), starts the command (`command`) and relays at its end.
- Both ends relay by the same code, `mux`, over a line that is a socket here and a serial line
  there. `wire` says what travels on it.
- `ports` relays connections to TCP ports of this machine.
- `memory` finds a place for the guest's memory, which is a file of this machine.

Rules of the whole
------------------
- Nothing outlives the front: no process, no file, no mount; and it does not matter how it ended.
- What the command does cannot be told from the same on the machine itself, but for its network, its
  processors and its uid. docs/ci.md has the differences.
- "canlab cannot do it here" is never mistaken for "the command failed": exit statuses of their own.
- The start is fast: the guest's end imports few modules, and none that are large.
"""

__version__ = "0.1.0"
