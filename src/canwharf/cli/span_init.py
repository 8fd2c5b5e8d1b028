"""`canwharf span init`, `invite` and `join`: certificates, and who connects where.

Rules:

- The first host makes the authority, and invites each other host by one file, which has all that
  this needs. A host connects to all that were invited before it and listen.
- Checks come before the first write. Nothing is overwritten but a host's certificate by its next.
- What is printed can be pasted.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from canwharf import durable
from canwharf.daemon.instance import DEFAULT_NAME, usual
from canwharf.errors import SpanError, StateError, UsageError
from canwharf.operator.service import package
from canwharf.span import authority, directory, invitation, settings
from canwharf.span.authority import Signed
from canwharf.span.directory import CA, CA_KEY, HOST, HOSTS, SETTINGS
from canwharf.span.invitation import Invitation
from canwharf.span.settings import Settings


def init(options: Mapping[str, str], which: Settings) -> int:
    """Make this host's directory: with a new authority, or with certificates of its user's own."""
    where, now = options["directory"], datetime.now(UTC)
    settings.check(which._replace(ca=CA, certificate=HOST, key=HOST))
    addresses = settings.addresses(which.listen)
    own = {each: options[each] for each in ("ca", "cert", "key")}
    if any(own.values()):
        if missing := [f"--{each}" for each, path in own.items() if not path]:
            raise UsageError(f"certificates of your own need {', '.join(missing)}, too")
        ca, *pair = (_read(path) for path in own.values())
        host, files = Signed(*pair), {}
    elif not which.listen:
        raise UsageError("say where other hosts reach this one: --listen tls/192.0.2.1:7447")
    else:
        made = authority.new(now)
        ca, host = made.certificate, authority.issue(made, which.host, addresses, now)
        files = {CA_KEY: made.key, f"{HOSTS}/{which.host}": _lines(which.listen)}
    end = authority.check(ca, host, which.host, addresses, now)
    files |= {CA: ca, HOST: _joined(host), SETTINGS: directory.written(which)}
    directory.create(where, files)
    _print_made(where, which.host, end)
    if CA_KEY in files:
        listens = "" if which.relay else " --listen tls/192.0.2.2:7447"
        print(f"To let another host join, say its name{', and where it listens' * bool(listens)}:")
        print(f"  canwharf span invite bench-2{listens}{_option(where)}")
    return 0


def invite(options: Mapping[str, str], which: Settings) -> int:
    """Write what another host needs to join; of one that is known, its next certificate."""
    where, name, now = options["directory"], options["what"], datetime.now(UTC)
    if not name:
        raise UsageError("say the name of the host to invite: canwharf span invite bench-2")
    settings.check_name(name)
    try:
        signer = Signed(directory.read(where, CA), directory.read(where, CA_KEY))
    except StateError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            words = f"{where} has no authority: invite hosts where 'canwharf span init' was run"
            raise SpanError(words) from error
        raise
    ours = directory.settings(where)
    if name in ours.refuse:
        raise SpanError(f"{name} is shut out, by refuse in {where}/{SETTINGS}: take another name")
    known = directory.hosts(where)
    listen = which.listen or known.get(name, ())
    connect = tuple(each for host, ends in known.items() if host != name for each in ends)
    settings.check(Settings(name, listen, connect, CA, HOST, HOST, relay=ours.relay))
    host = authority.issue(signer, name, settings.addresses(listen), now)
    texts = (each.decode() for each in (signer.certificate, *host))
    others = tuple(each for each in known if each != name)
    content = invitation.encode(Invitation(name, listen, connect, others, ours.relay, *texts))
    file = f"{name}.join"
    _write_new(file, content)
    try:
        directory.replace(where, f"{HOSTS}/{name}", _lines(listen))
    except StateError:
        os.unlink(file)
        raise
    _print_next(where, file, name, name == ours.host)
    for other, ends in known.items():
        if other != name and not (ends or ours.relay):
            print(_unheard(name, listen, other))
    return 0


def join(options: Mapping[str, str], _which: Settings) -> int:
    """Make this host's directory from an invitation, or renew its certificate."""
    where, file, now = options["directory"], options["what"], datetime.now(UTC)
    if not file:
        raise UsageError("say the file that 'canwharf span invite' made: canwharf span join FILE")
    try:
        invited = invitation.decode(_read(file))
        which = Settings(invited.host, invited.listen, invited.connect, CA, HOST, HOST)
        which = which._replace(hosts=invited.hosts, relay=invited.relay)
        settings.check(which, dash="")
        ca, host = invited.ca.encode(), Signed(invited.certificate.encode(), invited.key.encode())
        addresses = settings.addresses(invited.listen, dash="")
        end = authority.check(ca, host, invited.host, addresses, now)
    except (SpanError, UsageError) as error:
        raise SpanError(f"cannot join by {file}: {error}") from error
    if os.path.exists(f"{where}/{SETTINGS}"):
        _check_renewal(where, invited.host, ca)
        directory.replace(where, HOST, _joined(host))
        print(f"renewed the certificate of {invited.host}: it ends on {end:%Y-%m-%d}")
        unit = _unit(where)
        print("Restart canwharf span for it" + (f": systemctl restart {unit}" if unit else "."))
        return 0
    files = {CA: ca, HOST: _joined(host), SETTINGS: directory.written(which)}
    directory.create(where, files)
    _print_made(where, invited.host, end)
    return 0


ACTIONS = {"init": init, "invite": invite, "join": join}


def _check_renewal(where: str, host: str, ca: bytes) -> None:
    """Refuse to make another host of this one. Raises CanwharfError."""
    there = directory.settings(where).host
    other = "another name" if there != host else "another authority"
    if there != host or directory.read(where, CA) != ca:
        raise SpanError(f"{where} is of {there}, with {other}: move it away to join anew")


def _unheard(name: str, listen: Iterable[str], other: str) -> str:
    """What is to be said of a host that was invited before, and listens nowhere."""
    words = f"{other} does not listen, so {name} does not connect to it"
    if where := json.dumps(list(listen)).strip("[]"):
        return f"{words}: on {other}, add {where} to connect in {SETTINGS}"
    return f"{words}, and they will not hear each other: say --listen for one of them"


def _print_next(where: str, file: str, name: str, here: bool) -> None:
    """What to do with an invitation."""
    if here:
        print(f"made {file}, with a private key in it. It is for this host, as root:")
        print(f"  canwharf span join {file}{_option(where)} && rm {file}")
        return
    print(f"made {file}, with a private key in it. Carry it to {name}, and remove it here:")
    print(f"  scp {file} {name}: && rm {file}")
    print(f"On {name}, as root:")
    print(f"  canwharf span join {file} && rm {file}")


def _print_made(where: str, host: str, end: datetime) -> None:
    print(f"made {where} for {host}, whose certificate ends on {end:%Y-%m-%d}.")
    print("To connect the buses of this host:")
    if unit := _unit(where):
        print(f"  systemctl enable --now {unit}")
    else:
        print(f"  canwharf span{_option(where)}")


def _unit(where: str) -> str:
    """The unit that is installed for this directory; empty if there is none."""
    return package.span_unit(usual(DEFAULT_NAME)) if where == directory.DEFAULT else ""


def _option(where: str) -> str:
    return "" if where == directory.DEFAULT else f" --directory {shlex.quote(where)}"


def _joined(host: Signed) -> bytes:
    return host.certificate.rstrip() + b"\n" + host.key


def _lines(texts: Iterable[str]) -> bytes:
    return "".join(f"{each}\n" for each in texts).encode()


def _read(path: str) -> bytes:
    """What a file holds that the user named. Raises StateError."""
    try:
        return durable.read(path)
    except OSError as error:
        raise StateError("read", path, error.strerror or str(error)) from error


def _write_new(path: str, content: bytes) -> None:
    """Write a file that is not there yet, for its owner only. Raises StateError.

    By sudo, it is the user's who called that, and who has to carry it away.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                user = os.environ.get("SUDO_UID", "")
                if os.geteuid() == 0 and user.isdecimal():
                    with suppress(OSError):  # it stays root's, who can carry it, too
                        os.fchown(descriptor, int(user), -1)
        except BaseException:
            os.unlink(path)
            raise
    except FileExistsError as error:
        raise StateError("make", path, "it is there already: move it away") from error
    except OSError as error:
        raise StateError("make", path, error.strerror or str(error)) from error
