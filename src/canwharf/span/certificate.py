"""Whether other hosts take this host's certificate: what they refuse, they say in their logs only.

Theory of operation. Both sides of a handshake are made here, in memory. The one has this host's
certificate, and the other one only the authority's, as each other host.

Rules:

- It is a warning: a host whose clock is set later connects then.
- So is what cannot be read: a session that only connects says nothing of it, and tries for ever.
- The other hosts let a host send under its common name only.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from canwharf.errors import StateError
from canwharf.span.settings import Settings

SOON = timedelta(days=30)
_HOW = "'canwharf span invite' and 'join' renew it; one of your own takes 'init' again"


def fault(settings: Settings, now: datetime) -> str:
    """What is wrong with it, or that it ends soon; nothing where neither is known.

    Raises StateError: this user may not read it.
    """
    files = " and ".join(dict.fromkeys((settings.ca, settings.certificate, settings.key)))
    try:
        name, end = _told(settings)
    except ssl.SSLCertVerificationError as error:
        return f"no other host takes this host's certificate: {error.verify_message}; {_HOW}"
    except PermissionError as error:
        raise StateError("read", files, error.strerror or str(error)) from error
    except OSError as error:  # with all that OpenSSL refuses, in words of its own
        reason = "there is something else" if isinstance(error, ssl.SSLError) else error.strerror
        return f"cannot read this host's certificates in {files}: {reason}"
    if name != settings.host:
        return f"this host's certificate is that of {name}: no other host hears {settings.host}"
    if end > now + SOON:
        return ""
    return f"this host's certificate ends at {end:%Y-%m-%d %H:%M} UTC; {_HOW}"


def end(settings: Settings) -> int | None:
    """When it ends, in seconds since 1970, unless that is not known or no other host takes it."""
    with suppress(OSError):
        return int(_told(settings)[1].timestamp())
    return None


def _told(settings: Settings) -> tuple[str, datetime]:
    """Its common name, and when it ends. Raises OSError, SSLCertVerificationError."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(settings.certificate, settings.key, password="")  # asks nobody for one
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    other.check_hostname = False  # it depends on who connects
    other.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as zenoh: an authority need be no root
    other.load_verify_locations(settings.ca)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = other.wrap_bio(back, there), ours.wrap_bio(there, back, server_side=True)
    for side in sides * 3:  # TLS 1.2 needs so many, 1.3 less
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    told: dict[str, Any] = sides[0].getpeercert() or {}
    names = (value for part in told["subject"] for key, value in part if key == "commonName")
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(told["notAfter"]), UTC)
    return next(names, ""), end
