"""A host's directory: its certificates, and where it and others listen.

    settings.toml   name, relay, listen, connect, hosts, refuse: may be edited
    ca.pem          the authority's certificate
    host.pem        this host's certificate and its private key; mode 0600
    ca.key          the authority's private key; mode 0600, only where it was made
    hosts/NAME      where each host listens, an endpoint a line; only where the authority is

Rules:

- It is made aside and renamed: it is there as a whole, or not at all. One that has something in it
  already is an error, and so is a link in its place.
- Nothing in it is overwritten but a host's certificate, by another one of the same host, and where
  that host listens. A certificate and its key are one file, so that no crash parts them.
- Modes do not depend on the umask.
- A service that is not root's gets HOST, which only root can read, as a credential of systemd's
  (systemd.exec(5), "Credentials"): it takes that instead.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import suppress

from canwharf import durable
from canwharf.bus.span import is_name
from canwharf.errors import StateError
from canwharf.span.settings import Settings

DEFAULT = "/etc/canwharf/span"
SETTINGS, CA, HOST, CA_KEY, HOSTS = "settings.toml", "ca.pem", "host.pem", "ca.key", "hosts"
_LISTS = ("listen", "connect", "hosts", "refuse")
_ABOUT = "# What 'canwharf span' reads; restart it after a change. In refuse: names of hosts.\n"


def create(path: str, files: Mapping[str, bytes]) -> None:
    """Make a directory with these files. Raises StateError, and then nothing of it is there."""
    path = os.path.abspath(path)
    parent = os.path.dirname(path)
    made = False
    try:
        with suppress(FileExistsError):
            os.mkdir(parent)
            made = True
            os.chmod(parent, 0o755)  # noqa: S103 (as others in /etc; its secrets are for root)
        aside = tempfile.mkdtemp(prefix=f".{os.path.basename(path)}.", dir=parent)
        try:
            _fill(aside, files)
            os.rename(aside, path)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    except OSError as error:
        if made:
            with suppress(OSError):
                os.rmdir(parent)
        if os.path.lexists(path):
            reason = "it is there already: move it away, or name another by --directory"
        else:
            reason = error.strerror or str(error)
        raise StateError("make", path, reason) from error
    _sync(parent)


def _fill(folder: str, files: Mapping[str, bytes]) -> None:
    os.chmod(folder, 0o755)  # noqa: S103 (its secrets are for root)
    for name, content in files.items():
        if name.startswith(f"{HOSTS}/"):
            os.makedirs(f"{folder}/{HOSTS}", exist_ok=True)
            os.chmod(f"{folder}/{HOSTS}", 0o755)  # noqa: S103 (its secrets are for root)
        durable.replace(f"{folder}/{name}", content, _mode(name))
    _sync(folder)


def _mode(name: str) -> int:
    return 0o600 if name in (HOST, CA_KEY) else 0o644


def _sync(folder: str) -> None:
    """Make names in it durable; that they are not is no reason to say that it failed."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace(path: str, name: str, content: bytes) -> None:
    """Replace one file. Raises StateError."""
    try:
        durable.replace(f"{path}/{name}", content, _mode(name))
    except OSError as error:
        raise StateError("write", f"{path}/{name}", error.strerror or str(error)) from error
    _sync(os.path.dirname(f"{path}/{name}"))


def read(path: str, name: str) -> bytes:
    """What one file holds. Raises StateError."""
    try:
        return durable.read(f"{path}/{name}")
    except OSError as error:
        raise StateError("read", f"{path}/{name}", error.strerror or str(error)) from error


def written(settings: Settings) -> bytes:
    """The text of SETTINGS."""
    lists = {each: getattr(settings, each) for each in _LISTS}
    lines = [f"name = {json.dumps(settings.host)}"]
    if settings.relay:
        lines.append(f"relay = {json.dumps(settings.relay)}")
    lines += [f"{each} = {json.dumps(list(value))}" for each, value in lists.items()]
    return (_ABOUT + "\n".join(lines) + "\n").encode()


def settings(path: str) -> Settings:
    """What the directory says, with the paths of its certificates. Raises StateError."""
    try:
        name, relay, lists = _parsed(read(path, SETTINGS).decode())
    except ValueError as error:
        raise StateError("read", f"{path}/{SETTINGS}", str(error)) from error
    ca, host = f"{path}/{CA}", _host(path)
    listen, connect, others, refuse = lists
    others = tuple(each for each in dict.fromkeys((*others, *hosts(path))) if each != name)
    return Settings(name, listen, connect, ca, host, host, hosts=others, refuse=refuse, relay=relay)


def _host(path: str) -> str:
    """Where the certificate and key are that this process can read."""
    credential = os.path.join(os.environ.get("CREDENTIALS_DIRECTORY") or path, HOST)
    return credential if os.path.exists(credential) else f"{path}/{HOST}"


def _parsed(text: str) -> tuple[str, str, list[tuple[str, ...]]]:
    """The name, the relay, and the values of _LISTS. Raises ValueError."""
    content = tomllib.loads(text)
    if unknown := content.keys() - {"name", "relay", *_LISTS}:
        raise ValueError(f"{min(unknown)} is not expected")
    name, relay = content.get("name"), content.get("relay", "")
    lists = [content.get(each, []) for each in _LISTS]
    if not isinstance(name, str):
        raise ValueError('a line like name = "bench-1" is missing')  # noqa: TRY004 (the file)
    if not isinstance(relay, str):
        raise ValueError('relay must be a name like "bench-1"')  # noqa: TRY004 (the file)
    for option, value in zip(_LISTS, lists, strict=True):
        if not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            raise ValueError(f'{option} must be a list like ["bench-2"]')
    return name, relay, [tuple(value) for value in lists]


def hosts(path: str) -> dict[str, tuple[str, ...]]:
    """Where each host listens that has a certificate of the authority here. Raises StateError."""
    try:
        names = sorted(filter(is_name, os.listdir(f"{path}/{HOSTS}")))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StateError("read", f"{path}/{HOSTS}", error.strerror or str(error)) from error
    return {
        each: tuple(read(path, f"{HOSTS}/{each}").decode(errors="replace").split())
        for each in names
    }
