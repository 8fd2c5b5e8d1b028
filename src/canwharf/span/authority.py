"""The certificates of a bench: a small authority, and one certificate for each host.

Rules:

- A host's certificate is for both sides of a connection: each proves its name. The common name is
  the host's name in every span, and access control binds it to the keys under which it sends.
- It is valid for the host's name and for the addresses at which it listens, and for nothing else:
  a connection is only made to a name or an address that stands in it.
- An authority is valid for 10 years, a host for 2. All begin a day before they are made: the clocks
  of a bench may be wrong by hours.
- Keys are of the curve P-256, serial numbers are random.
- Nothing here reads or writes a file. Only commands import it: the service itself does without
  the library, which is an extra.

Source: RFC 5280, https://cryptography.io/en/latest/x509/.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from canwharf.errors import SpanError

AUTHORITY_DAYS = 3652
HOST_DAYS = 731
_EARLY = timedelta(days=1)
# How cryptography says that no authority which it knows has signed a certificate.
_FOREIGN = ("all candidates exhausted with no interior errors", "signature does not match")
_BOTH_SIDES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


class Signed(NamedTuple):
    """A certificate, with those between it and the authority behind it, and its key: all PEM."""

    certificate: bytes
    key: bytes


def new(now: datetime) -> Signed:
    """A new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # In the words of an error, two authorities must not look alike.
    name = _named(f"canwharf span authority {serial & 0xFFFFFFFF:08x}")
    builder = (
        _builder(name, name, key.public_key(), now, serial)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    return _pem(builder.sign(key, hashes.SHA256()), key)


def issue(authority: Signed, host: str, addresses: Iterable[str], now: datetime) -> Signed:
    """A certificate for a host, valid for its name and at these addresses or names.

    Raises SpanError: the authority cannot be read, or has ended.
    """
    ca, ca_key = _authority(authority.certificate), _key(authority, "authority")
    if ca.not_valid_after_utc <= now:
        raise SpanError(f"the authority ended at {ca.not_valid_after_utc:%Y-%m-%d}: make a new one")
    key = ec.generate_private_key(ec.SECP256R1())
    identifiers = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    names = [_subject(each) for each in dict.fromkeys((host, *addresses))]
    end = min(now + timedelta(days=HOST_DAYS), ca.not_valid_after_utc)
    from_ca = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifiers)
    builder = (
        _builder(_named(host), ca.subject, key.public_key(), now, x509.random_serial_number())
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_BOTH_SIDES), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(from_ca, critical=False)
    )
    return _pem(builder.sign(ca_key, hashes.SHA256()), key)


def check(ca: bytes, own: Signed, host: str, addresses: Iterable[str], now: datetime) -> datetime:
    """When a host's certificate ends. Raises SpanError for one with which nothing would arrive.

    Other hosts that refuse a certificate, or discard what comes by it, say so in their logs only.
    """
    leaf, *between = _chain(own.certificate, "host")
    _key(own, "host")
    builder = _policy().time(now).store(verification.Store([_authority(ca)]))
    where = "to connect to others"
    try:
        builder.build_client_verifier().verify(leaf, between)
        for each in addresses:
            where = f"at {each}"
            builder.build_server_verifier(_subject(each)).verify(leaf, between)
    except (verification.VerificationError, ValueError) as error:
        words = str(error).partition(" (encountered")[0].removeprefix("validation failed: ")
        words = words.removeprefix("candidates exhausted: ")
        if words in _FOREIGN:
            words = "it is not signed by this authority"
        raise SpanError(f"the host's certificate cannot be used {where}: {words}") from error
    common = [each.value for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if common != [host]:
        named = ", ".join(map(str, common)) or "empty"
        raise SpanError(f"the common name in the host's certificate is {named}, and not {host}")
    return leaf.not_valid_after_utc


def _policy() -> verification.PolicyBuilder:
    """What a chain must have. It is what public authorities must have, but for two extensions.

    zenoh asks for neither, and `openssl req -x509` and older releases of `openssl x509` leave them
    out.
    """
    builder = verification.PolicyBuilder()
    if not hasattr(verification, "ExtensionPolicy"):  # before cryptography 45
        return builder
    policy, either = verification.ExtensionPolicy, verification.Criticality.AGNOSTIC
    return builder.extension_policies(
        ca_policy=policy.webpki_defaults_ca().may_be_present(x509.KeyUsage, either, None),
        ee_policy=policy.webpki_defaults_ee().may_be_present(
            x509.AuthorityKeyIdentifier, either, None
        ),
    )


def _builder(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    serial: int,
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(now - _EARLY)
        .add_extension(identifier, critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _subject(name: str) -> x509.IPAddress | x509.DNSName:
    """A host or an address, as it stands in a certificate."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Signed:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    return Signed(certificate.public_bytes(pem), private)


def _chain(pem: bytes, whose: str) -> list[x509.Certificate]:
    """Raises SpanError."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise SpanError(f"the {whose}'s certificate cannot be read: {error}") from error


def _authority(pem: bytes) -> x509.Certificate:
    """The certificate of one that may sign. Raises SpanError."""
    certificate = _chain(pem, "authority")[0]
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise SpanError(f"the authority's certificate cannot be used: {error}") from error
    if not constraints.value.ca:
        raise SpanError("the authority's certificate is that of a host, which may not sign others")
    return certificate


def _key(own: Signed, whose: str) -> ec.EllipticCurvePrivateKey:
    """The private key that belongs to the certificate. Raises SpanError."""
    try:
        key = serialization.load_pem_private_key(own.key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SpanError(f"the {whose}'s private key cannot be read: {error}") from error
    if key.public_key() != _chain(own.certificate, whose)[0].public_key():
        raise SpanError(f"the {whose}'s certificate and its private key do not belong together")
    return key  # type: ignore[return-value]
