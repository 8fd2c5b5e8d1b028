"""What a host is told of its own certificate at the start of `canwharf span`."""

from __future__ import annotations

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from canwharf.errors import StateError
from canwharf.span import authority, certificate
from canwharf.span.authority import Signed
from canwharf.span.settings import Settings

NOW = datetime.now(UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    ca, host = str(tmp_path / "ca.pem"), str(tmp_path / "host.pem")
    return Settings("bench-1", ("tls/192.0.2.1:7447",), (), ca, host, host)


def write(settings: Settings, ca: Signed, host: Signed) -> None:
    Path(settings.ca).write_bytes(ca.certificate)
    Path(settings.certificate).write_bytes(host.certificate + host.key)


def of_age(settings: Settings, days: int) -> str:
    """What is said of a certificate that was made so many days ago."""
    made = NOW - timedelta(days=days)
    ca = authority.new(made)
    write(settings, ca, authority.issue(ca, "bench-1", ["192.0.2.1"], made))
    return certificate.fault(settings, NOW)


def test_one_that_ended_or_ends_soon_is_told(settings: Settings) -> None:
    assert of_age(settings, 0) == ""
    assert of_age(settings, authority.HOST_DAYS - 31) == ""
    soon = of_age(settings, authority.HOST_DAYS - 29)
    assert soon.startswith(f"this host's certificate ends at {NOW + timedelta(days=29):%Y-%m-%d}")
    assert "certificate has expired; 'canwharf span invite'" in of_age(settings, 740)


def test_a_clock_that_was_set_back_is_told(settings: Settings) -> None:
    assert "not yet valid" in of_age(settings, -2)


def test_one_of_another_authority_is_told(settings: Settings) -> None:
    ca = authority.new(NOW)
    write(settings, authority.new(NOW), authority.issue(ca, "bench-1", [], NOW))
    assert "no other host takes this host's certificate" in certificate.fault(settings, NOW)


def test_what_cannot_be_read_is_told(settings: Settings) -> None:
    """A session that only connects would try for ever, without a word."""
    said = f"cannot read this host's certificates in {settings.ca} and {settings.certificate}: "
    assert certificate.fault(settings, NOW) == f"{said}No such file or directory"
    write(settings, Signed(b"", b""), Signed(b"x", b"y"))
    assert certificate.fault(settings, NOW) == f"{said}there is something else"


def test_one_of_another_name_is_told(settings: Settings) -> None:
    ca = authority.new(NOW)
    write(settings, ca, authority.issue(ca, "bench-2", ["192.0.2.1"], NOW))
    said = certificate.fault(settings, NOW)
    assert said == "this host's certificate is that of bench-2: no other host hears bench-1"


def test_what_this_user_may_not_read_ends_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary user ran it: the key is root's."""

    def denied(_settings: Settings) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(certificate, "_told", denied)
    with pytest.raises(StateError, match=r"cannot read .*host.pem: Permission denied"):
        certificate.fault(settings, NOW)
