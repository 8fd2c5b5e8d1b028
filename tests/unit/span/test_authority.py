"""A host's certificate is good for its own name and addresses, for some years, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from canwharf.errors import SpanError
from canwharf.span import authority
from canwharf.span.authority import AUTHORITY_DAYS, HOST_DAYS, Signed

NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)
ADDRESSES = ("192.0.2.1", "2001:db8::1", "bench-1.example")
CA = authority.new(NOW)
HOST = authority.issue(CA, "bench-1", ADDRESSES, NOW)


def loaded(signed: Signed) -> x509.Certificate:
    return x509.load_pem_x509_certificate(signed.certificate)


@pytest.mark.parametrize("name", ["bench-1", "a", "1", "a" * 63])
def test_a_new_certificate_is_good(name: str) -> None:
    signed = authority.issue(CA, name, ADDRESSES, NOW)
    end = authority.check(CA.certificate, signed, name, ADDRESSES, NOW)
    assert end == NOW + timedelta(days=HOST_DAYS)


def test_clocks_may_be_wrong_by_hours() -> None:
    early = NOW - timedelta(hours=23)
    assert authority.check(CA.certificate, HOST, "bench-1", ADDRESSES, early)


@pytest.mark.parametrize(
    ("name", "addresses", "when", "words"),
    [
        ("bench-2", (), NOW, "common name in the host's certificate is bench-1, and not bench-2"),
        ("192.0.2.1", (), NOW, "common name in the host's certificate is bench-1, and not 192"),
        ("bench-1", ("192.0.2.2",), NOW, "at 192.0.2.2: .* no matching subjectAltName"),
        ("bench-1", ("bench-1.other",), NOW, "at bench-1.other: .* no matching"),
        ("bench-1", ("a..b",), NOW, "at a..b: invalid domain name"),
        ("bench-1", (), NOW + timedelta(days=HOST_DAYS, seconds=1), "not valid at"),
        ("bench-1", (), NOW - timedelta(days=2), "not valid at"),
    ],
)
def test_what_it_is_not_good_for(
    name: str, addresses: tuple[str, ...], when: datetime, words: str
) -> None:
    with pytest.raises(SpanError, match=words):
        authority.check(CA.certificate, HOST, name, addresses, when)


@pytest.mark.parametrize(
    ("ca", "own", "words"),
    [
        (authority.new(NOW).certificate, HOST, "not signed by this authority"),
        (HOST.certificate, HOST, "that of a host"),
        (CA.certificate, HOST._replace(key=CA.key), "do not belong together"),
        (CA.certificate, HOST._replace(key=b""), "host's private key cannot be read"),
        (CA.certificate, HOST._replace(key=b"\xff"), "host's private key cannot be read"),
        (CA.certificate, HOST._replace(certificate=b""), "host's certificate cannot be read"),
        (b"garbage", HOST, "authority's certificate cannot be read"),
        (CA.certificate, CA, "cannot be used"),
    ],
)
def test_what_does_not_fit_together_is_refused(ca: bytes, own: Signed, words: str) -> None:
    with pytest.raises(SpanError, match=words):
        authority.check(ca, own, "bench-1", (), NOW)


def test_a_key_with_a_password_is_refused() -> None:
    key = serialization.load_pem_private_key(HOST.key, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(SpanError, match="private key cannot be read: Password was not given"):
        authority.check(CA.certificate, HOST._replace(key=locked), "bench-1", (), NOW)


def test_an_authority_ends_after_ten_years_and_no_host_outlives_it() -> None:
    end = NOW + timedelta(days=AUTHORITY_DAYS)
    late = authority.issue(CA, "bench-1", (), end - timedelta(days=30))
    assert loaded(late).not_valid_after_utc == end
    with pytest.raises(SpanError, match="ended at 2036-11-28: make a new one"):
        authority.issue(CA, "bench-1", (), end)


def test_a_host_cannot_sign_for_others() -> None:
    """Else each host could make itself the certificate of another one."""
    with pytest.raises(SpanError, match="that of a host, which may not sign"):
        authority.issue(HOST, "bench-2", (), NOW)


def test_what_nobody_may_guess_or_mistake_is_new_each_time() -> None:
    other = authority.issue(CA, "bench-1", ADDRESSES, NOW)
    assert loaded(other).serial_number != loaded(HOST).serial_number
    assert other.key != HOST.key
    assert loaded(authority.new(NOW)).subject != loaded(CA).subject


def test_certificates_of_ones_own_may_have_others_between() -> None:
    """As an organization has them: the authority, one of a department, the host."""
    root, middle = (ec.generate_private_key(ec.SECP256R1()) for _key in range(2))
    top = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "top")])
    certificates = []
    for name, key, length in ((top, root, 1), (loaded(CA).subject, middle, 0)):
        certificates.append(
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(top)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
            .add_extension(
                loaded(CA).extensions.get_extension_for_class(x509.KeyUsage).value, critical=True
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()),
                critical=False,
            )
            .sign(root, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
    ca, department = certificates
    private = middle.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    host = authority.issue(Signed(department, private), "bench-1", ADDRESSES, NOW)
    whole = host._replace(certificate=host.certificate + department)
    assert authority.check(ca, whole, "bench-1", ADDRESSES, NOW)
    with pytest.raises(SpanError, match="not signed by this authority"):
        authority.check(ca, host, "bench-1", ADDRESSES, NOW)


def test_certificates_as_openssl_makes_them_without_being_asked_are_good() -> None:
    """`openssl req -x509` says nothing of an authority's use; zenoh takes it."""
    key, own = (ec.generate_private_key(ec.SECP256R1()) for _key in range(2))
    top, name = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in ("top", "own")
    )

    def signed(
        subject: x509.Name, of: ec.EllipticCurvePrivateKey, *more: x509.ExtensionType
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(top)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=9))
        )
        for each in more:
            builder = builder.add_extension(each, critical=isinstance(each, x509.BasicConstraints))
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    ca = signed(top, key, identifier, x509.BasicConstraints(ca=True, path_length=None))
    names = x509.SubjectAlternativeName([x509.DNSName("own.example")])
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    private = own.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    host = Signed(signed(name, own, names, both), private)
    assert authority.check(ca, host, "own", ("own.example",), NOW)
    only = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    with pytest.raises(SpanError, match=r"connect to others: .*EKU"):
        authority.check(ca, Signed(signed(name, own, names, only), private), "own", (), NOW)
    other = x509.BasicConstraints(ca=True, path_length=None)
    with pytest.raises(SpanError, match=r"connect to others: .*basicConstraints"):
        authority.check(ca, Signed(signed(name, own, names, both, other), private), "own", (), NOW)


def test_it_is_good_without_the_hosts_name_among_its_addresses() -> None:
    """A certificate of one's own often has the full name only; the common name is what counts."""
    addresses = ("bench-1", "192.0.2.1")
    own = authority.issue(CA, "other", addresses, NOW)
    with pytest.raises(SpanError, match="is other, and not bench-1"):
        authority.check(CA.certificate, own, "bench-1", addresses, NOW)
    assert authority.check(CA.certificate, own, "other", ("192.0.2.1",), NOW)


def test_it_is_for_both_sides_of_a_connection() -> None:
    usage = loaded(HOST).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
