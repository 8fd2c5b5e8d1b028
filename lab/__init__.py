"""The lab: a guest with a real CAN kernel and real Docker, for tests, on any Debian machine.

Theory of operation
-------------------
The usual build machine has no CAN in its kernel and no Docker. User-Mode Linux is a kernel
that runs as an ordinary process, and Debian ships one with all CAN modules. Where it does not run,
there are others (`boot`). So a guest is:

- a *root*: a folder with the packages of one Debian release, its User-Mode Linux among them
  (`suites` names the releases, `root` builds the folder). It is only read: all guests of a suite
  share it at the same time.
- a *disk*: an ext4 image in a file. It holds the state of Docker and of canwharf, and survives a
  power cut (`disk`). A new guest gets a copy of a prepared one, with the image `ecu` on it.
- a *kernel process* in namespaces of its own, started by one of the strategies in `boot`: the
  first that comes up on this machine. The kernel mounts the root and runs `init` as pid 1, which
  lays a tmpfs over the root, loads the modules, mounts the disk and starts the agent; or, for
  a machine as a user has it, lays the disk over the root and hands over to systemd.
- an *agent* in the guest (`agent`) at one end of a serial line, which is a socket at this end
  (`channel`). Commands go in, output and statuses come out, many at a time.

    host: test > Guest > Channel ==socket== line > agent > command    :guest

`hub` joins guests by an Ethernet: sockets, and a thread for each guest. `pair` makes two guests or
more, each with a cable that can be cut and fixed. Their network has no way out.

`docker` starts, kills and stops the daemon in a guest. `plugin` makes canwharf's managed plugin of
packages, as `root` makes a root; `deb` makes the Debian package, in a root with Debian's tools;
`kernel` makes a kernel of Debian's source. `python3 -m lab --help` shows the lab by hand;
`terminal` joins a person's terminal to a command, `prompt` does what lines say to a pair.
Everything that is costly is made once and kept (`cache`).

Rules of the whole
------------------
- A guest that died is GuestDied, never a failed command (`errors`).
- Nothing of a guest outlives the process that made it: no process, no mount, no disk copy; and
  it does not matter how that process ended.
- Guests do not see each other but by a hub, and cannot change the root or the repository.
- Each wait is for an event and has a limit.

Imports run downwards only:
__main__ > prompt > pair > guest > disk > docker > machine > hub > boot > kernel > channel, root >
suites, cache > errors. terminal > machine.
plugin, deb > machine, root, cache.
`agent`, `dockerd`, `init`, `units` and `image.sh` run in the guest and import nothing of the lab;
nor do `compile`, which runs in a plugin's tree, and `kernel.sh`, which runs among a kernel's tools.
"""
