"""Whether this host reaches the others of its spans: zenoh tries in silence, and for ever.

Rules:

- It is tried only while a host is missing. All endpoints are tried at the same time, and together
  take TOTAL at most: to resolve a name has no limit of its own, and it may have many addresses.
- The handshake is this host's own, with its certificates. Nothing is sent after it.
- QUIC is left out, which Python does not speak, and so is plain TCP, which is for loopback.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from time import monotonic

from canwharf.errors import CanwharfError
from canwharf.operator.status import Status
from canwharf.span import directory
from canwharf.span.settings import Settings
from canwharf.span.state import State

LIMIT, TOTAL = 2.0, 6.0  # seconds: of an address, of all
_REFUSAL = 0.5  # seconds in which the other side refuses this host's certificate, after a handshake


def unreached(status: Status, where: str) -> Mapping[str, str]:
    """Why an endpoint in the settings of this directory cannot be connected to.

    Empty where all can, where no host is missing, and where the settings are not for this user.
    """
    if not any(_lacks(each) for each in status.spanned.values() if isinstance(each, State)):
        return {}
    try:
        settings = directory.settings(where)
    except CanwharfError:  # 'canwharf span' says so
        return {}
    found = {each: f"no answer in {TOTAL:g} s" for each in settings.connect if each[:4] == "tls/"}

    def find(endpoint: str) -> None:
        found[endpoint] = _fault(settings, endpoint.removeprefix("tls/"))

    tries = [Thread(target=find, args=(each,), daemon=True) for each in found]
    end = monotonic() + TOTAL
    for each in tries:
        each.start()
    for each in tries:
        each.join(max(0, end - monotonic()))
    return {endpoint: fault for endpoint, fault in list(found.items()) if fault}


def _lacks(state: State) -> bool:
    """Whether a host is missing, or nobody is there."""
    return not all(each.there for each in state.hosts.values()) or not state.hosts


def _fault(settings: Settings, address: str) -> str:
    """What a connection to HOST:PORT fails by; empty if it does not."""
    host, _colon, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        context = _context(settings)
    except OSError:  # 'canwharf span' says so of its own files
        return ""
    try:
        with (
            socket.create_connection((host, int(port)), LIMIT) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            secure.settimeout(_REFUSAL)
            with suppress(TimeoutError):  # it waits for what a session sends first
                secure.recv(1)
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not taken here: {error.verify_message}"
    except ssl.SSLError as error:
        return f"it refuses this host's certificate: {error.reason or error}"
    except OSError as error:
        return str(error.strerror or error)
    except ValueError:  # of the codec for names of hosts
        return f"{host} can be no name of a host"
    return ""


def _context(settings: Settings) -> ssl.SSLContext:
    """As zenoh's. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an authority need be no root
    context.load_verify_locations(settings.ca)
    context.load_cert_chain(settings.certificate, settings.key, password="")
    return context
