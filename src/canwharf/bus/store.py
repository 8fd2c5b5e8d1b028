"""The desired state on disk: one JSON file that a person can read.

    {"version": 1, "driver": "canwharf", "complete": true, "boot": "…", "networks": {ID:
     {"interface": "can0", "physical": true, "prefix": "can", "adapter": {"can.bitrate": "500000"},
      "name": "", "policy": {}, "impairment": {"can.delay": "20ms"},
      "span": {"can.span": "bench7"}, "endpoints":
      {ID: {"prefix": "", "name": "can1", "policy": {"can.send": "100-1FF"},
            "injected": []}}}}}

Rules:

- `save` returns only when the state is durable: written aside, fsynced, renamed over the old
  file, and the directory fsynced. A power cut leaves the old state or the new one.
- Networks are permanent; endpoints belong to one boot of the machine. After another boot the
  container engine creates its endpoints again and never mentions the old ones, so they are not
  loaded. A start does not rewrite the file for that: each reader loads it by this rule, and the
  next change leaves them out.
- A file is checked in full: one that is not exactly as we write it is a StateError. It is set aside
  before anything is written.
- One daemon a directory: the lock is held until the process ends.
- Files that were set aside are for an operator. The newest KEPT stay.
- Version 0.2 knows no policies, and writes a file without them. Beside one that has policies, a
  mark is left which that version does not touch: then what the file lacks was forgotten, and is
  None; a null in the file. Without the mark there were none.
"""

from __future__ import annotations

import errno
import fcntl
import posix
from time import strftime

from canwharf import durable, jsontext
from canwharf.bus import naming, options
from canwharf.bus.fault import Fault
from canwharf.bus.model import OPEN, Adapter, Endpoint, Network, Policy, Settings, State
from canwharf.bus.naming import NO_SPAN, Ifname, Span
from canwharf.errors import OptionError, StartError, StateError
from canwharf.jsontext import dumps, quoted
from canwharf.kernel.impairment import Impairment
from canwharf.lean import exists, join, make_directory, suppress

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import NoReturn, TypeVar

    _T = TypeVar("_T")

VERSION = 1
FILE_NAME = "state.json"
MARK = "policies"  # a file
KEPT = 5  # files that were set aside
_ROOM = 4096  # bytes that a file system should have free, beside those of the next state
_MARK_TEXT = b"Containers had policies. A state file without them has forgotten them.\n"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Store:
    """The state file in one directory.

    `fault` is why the state could not be written the last time; or empty.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = join(directory, FILE_NAME)
        self.fault = ""
        self._mark = join(directory, MARK)
        self._marked = False  # for certain
        self._boot = _boot_id()
        self._lock = -1

    def acquire(self) -> None:
        """Make the directory and take its lock. Raises StateError, StartError."""
        try:
            make_directory(self.directory)
            flags = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC
            self._lock = posix.open(self.directory, flags)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(
                f"another daemon keeps its state in {self.directory}: stop that one, "
                "or give this one a --state-dir and a --socket of its own"
            ) from error
        except OSError as error:
            made = isinstance(error, FileExistsError)
            words = posix.strerror(errno.ENOTDIR) if made else _words(error)
            with suppress(OSError):  # it is no link
                if not exists(self.directory):
                    words = f"it is a link to {posix.readlink(self.directory)}, which is not there"
            raise StateError("use", self.directory, words) from error

    def exists(self) -> bool:
        """Whether a state was ever written here."""
        return exists(self.path)

    def load(self, driver: str) -> tuple[State, int]:
        """The state, and the number of endpoints of an earlier boot, which are left out.

        Raises StateError, StartError.
        """
        try:
            content = jsontext.loads(durable.read(self.path))
        except FileNotFoundError:
            return State(driver, {}, complete=False), 0
        except (OSError, ValueError, RecursionError) as error:
            raise StateError("read", self.path, _words(error)) from error
        return self._read(content, driver)

    def set_aside(self) -> str:
        """Rename a file that cannot be used; the new path, with a date. Raises StateError."""
        kept = f"{self.path}.{strftime('%Y%m%dT%H%M%S')}.bad"
        try:
            posix.replace(self.path, kept)
        except OSError as error:
            raise StateError("set aside", self.path, _words(error)) from error
        for old in self.aside()[:-KEPT]:
            with suppress(OSError):  # it may be a directory
                posix.unlink(old)
        return kept

    def aside(self) -> list[str]:
        """The files that were set aside, the oldest first."""
        try:
            names = posix.listdir(self.directory)
        except OSError:
            return []
        ours = (each for each in names if each.startswith(f"{FILE_NAME}.") and each[-4:] == ".bad")
        return [join(self.directory, each) for each in sorted(ours)]

    def write_fault(self) -> str:
        """Why a state could not be written now; empty if it could. Nothing is written."""
        try:
            size = posix.stat(self.path).st_size if self.exists() else 0
            filesystem = posix.statvfs(self.directory)
            fault = ""
            if filesystem.f_flag & posix.ST_RDONLY:
                fault = posix.strerror(errno.EROFS)
            elif filesystem.f_bfree * filesystem.f_frsize < size + _ROOM or (
                filesystem.f_files and not filesystem.f_ffree
            ):
                fault = posix.strerror(errno.ENOSPC)
            elif posix.geteuid() == 0 and not posix.access(self.directory, posix.W_OK | posix.X_OK):
                fault = posix.strerror(errno.EACCES)
        except FileNotFoundError:
            return ""  # the daemon creates the directory
        except OSError as error:
            fault = _words(error)
        return str(StateError("write", self.path, fault)) if fault else ""

    def save(self, state: State) -> None:
        """Write this state to disk. Raises StateError.

        After an error the file has the old state, unless only the directory's fsync failed.
        """
        head = {
            "version": VERSION,
            "driver": state.driver,
            "complete": state.complete,
            "boot": self._boot,
        }
        try:
            if not self._marked and state.has_policies:
                durable.replace(self._mark, _MARK_TEXT)
                self._marked = True
            durable.replace(self.path, _text(head, state.networks.values()).encode())
            posix.fsync(self._lock)
        except OSError as error:
            fault = StateError("write", self.path, _words(error))
            self.fault = str(fault)
            raise fault from error
        self.fault = ""

    def _read(self, content: object, driver: str) -> tuple[State, int]:
        top = self._object(content, "the file")
        version = top.get("version")
        if type(version) is not int or version != VERSION:
            self._refuse(f"its version is {version!r}, this canwharf knows {VERSION}")
        owner = top.get("driver", driver)
        if not isinstance(owner, str) or not naming.is_driver(owner):
            self._refuse(f"{owner!r} is not a driver's name")
        if owner != driver:
            raise StartError(
                f"{self.path} is the state of the driver {owner}, and this daemon "
                f"would serve {driver}: give it a --state-dir of its own"
            )
        same_boot = top.get("boot") == self._boot
        networks: dict[str, Network] = {}
        left = 0
        for id, value in self._object(top.get("networks"), "networks").items():
            fields = self._object(value, f"network {id}")
            interface = self._name(fields.get("interface"), naming.MAX_NAME, id)
            prefix = self._name(fields.get("prefix"), naming.MAX_PREFIX, id)
            endpoints = self._endpoints(fields.get("endpoints"), id)
            if not naming.is_id(id):
                self._refuse(f"{id!r} is not a network's id")
            if not same_boot:
                left += len(endpoints)
                endpoints = {}
            physical = fields.get("physical") is True
            adapter = self._adapter(fields.get("adapter", {}), id)
            name = self._name(fields.get("name", ""), naming.MAX_NAME, id, optional=True)
            policy = self._policy(fields, id)
            impairment = self._impairment(fields.get("impairment", {}), id)
            span = self._span(fields.get("span", {}), id)
            own = interface, prefix, physical, adapter, name, policy, impairment, span
            settings = Settings(*own)
            networks[id] = Network(id, settings, endpoints)
        state = State(driver, networks, top.get("complete") is not False)
        return (state._replace(complete=False) if state.forgotten else state), left

    def _endpoints(self, content: object, network: str) -> dict[str, Endpoint]:
        endpoints = {}
        for id, value in self._object(content, f"endpoints of network {network}").items():
            fields = self._object(value, f"endpoint {id}")
            if not naming.is_id(id):
                self._refuse(f"{id!r} is not an endpoint's id")
            prefix = self._name(fields.get("prefix"), naming.MAX_PREFIX, id, optional=True)
            # Files from before version 0.2 have no exact names.
            name = self._name(fields.get("name", ""), naming.MAX_NAME, id, optional=True)
            ifname = Ifname(name=name) if name else Ifname(prefix)  # as the alias tells it
            requested = ifname if prefix or name else None
            faults = self._faults(fields.get("injected", []), id)
            endpoints[id] = Endpoint(requested, self._policy(fields, id), faults)
        return endpoints

    def _faults(self, content: object, parent: str) -> tuple[Fault, ...]:
        """The faults on purpose of an endpoint; most have none."""
        if content == []:
            return ()
        from canwharf.bus import fault_options  # noqa: PLC0415 (not everybody has faults)

        try:
            return tuple(
                map(fault_options.restored, content if isinstance(content, list) else [None])
            )
        except (TypeError, ValueError, OptionError) as error:
            self._refuse(f"the faults of {parent}: {error}")

    def _policy(self, fields: Mapping[str, object], parent: str) -> Policy | None:
        """A policy by its options; None: its record is lost."""
        if "policy" not in fields:  # written by a version before 0.3
            return None if exists(self._mark) else OPEN
        given = fields["policy"]
        if given is None:
            return None
        return self._parsed(options.parse_policy, given, f"policy of {parent}")

    def _impairment(self, content: object, network: str) -> Impairment:
        """What a bus does on purpose; files from before version 0.3 have none."""
        return self._parsed(options.parse_impairment, content, f"impairment of network {network}")

    def _span(self, content: object, network: str) -> Span:
        """The span of a bus; files from before version 0.3 have none."""
        return self._parsed(options.parse_span, content, f"span of network {network}")

    def _adapter(self, content: object, network: str) -> Adapter:
        """The adapter of a network; files from before version 0.2 have none."""
        return self._parsed(options.parse_adapter, content, f"adapter of network {network}")

    def _parsed(self, parse: Callable[[dict[str, str]], _T], content: object, what: str) -> _T:
        """Options that a network or an endpoint was given."""
        texts = self._object(content, what)
        if not all(isinstance(value, str) for value in texts.values()):
            self._refuse(f"the {what} should have strings")
        try:
            return parse({name: str(value) for name, value in texts.items()})
        except OptionError as error:
            self._refuse(str(error))

    def _object(self, content: object, what: str) -> dict[str, object]:
        if not isinstance(content, dict):
            self._refuse(f"{what} should be an object")
        return content

    def _name(self, content: object, longest: int, parent: str, optional: bool = False) -> str:
        if content == "" and optional:
            return ""
        if not isinstance(content, str) or naming.name_fault(content, longest):
            self._refuse(f"{content!r} of {parent} is not an interface's name")
        return content

    def _refuse(self, reason: str) -> NoReturn:
        raise StateError("read", self.path, reason)


def _text(head: Mapping[str, object], networks: Iterable[Network]) -> str:
    """The file, with a line for each network.

    It is written for every change of endpoints, and a bus may have a thousand: json's own
    indenting, which is in Python, and a dict for each endpoint take seven times as long.
    """
    first = "".join(f" {quoted(name)}: {dumps(value)},\n" for name, value in head.items())
    lines = ",\n".join(f"  {quoted(each.id)}: {_network(each)}" for each in networks)
    return f'{{\n{first} "networks": {{\n{lines}\n }}\n}}\n'


def _network(network: Network) -> str:
    """A network as the file has it."""
    settings = network.settings
    fields = {
        "interface": settings.interface,
        "physical": settings.physical,
        "prefix": settings.prefix,
        "adapter": settings.adapter.options,
        "name": settings.name,
        "policy": _options(settings.policy),
        "impairment": options.impairment_texts(settings.impairment),
        "span": _span(settings.span),
    }
    endpoints = [f"{quoted(id)}: {_endpoint(each)}" for id, each in network.endpoints.items()]
    return f'{dumps(fields)[:-1]}, "endpoints": {{{", ".join(endpoints)}}}}}'


def _endpoint(endpoint: Endpoint) -> str:
    """An endpoint as the file has it: empty names where its network's are used."""
    ifname = endpoint.ifname or Ifname()
    names = f'"prefix": {quoted(ifname.prefix)}, "name": {quoted(ifname.name)}'
    faults = dumps([each._asdict() for each in endpoint.injected]) if endpoint.injected else "[]"
    policy = dumps(_options(endpoint.policy))
    return f'{{{names}, "policy": {policy}, "injected": {faults}}}'


def _span(settings: Span) -> dict[str, str]:
    """Its options; most networks have none."""
    if settings == NO_SPAN:
        return {}
    from canwharf.bus import span  # noqa: PLC0415 (not everybody spans hosts)

    return span.texts(settings)


def _options(policy: Policy | None) -> dict[str, str] | None:
    """The options of a policy that were given; None: its record is lost."""
    if policy is None or policy == OPEN:
        return None if policy is None else {}
    named = ((option, getattr(policy, field)) for option, field in options.POLICY_OPTIONS.items())
    return {option: value for option, value in named if value}


def _boot_id() -> str:
    """The id of this boot of the machine (random(4)). Raises StateError."""
    try:
        with open(_BOOT_ID, encoding="utf-8") as file:
            return file.read().strip()
    except OSError as error:
        raise StateError("read", _BOOT_ID, _words(error)) from error


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
