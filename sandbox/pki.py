# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for certificate authorities: one for what ACM, RDS and ElastiCache certify, one for the cluster."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox import state

CA_DAYS = 3650
# What ACM certificates are valid for.
CERTIFICATE_DAYS = 395
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """A certificate authority kept as ca.crt and ca.key in a folder, made when missing."""

    def __init__(self, folder: Path, common_name: str) -> None:
        self.certificate_file = folder / "ca.crt"
        self._key_file = folder / "ca.key"
        with state.lock(state.root() / "locks" / f"ca-{folder.name}"):
            if not self.certificate_file.exists():
                self._create(common_name)
        self._certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        key = serialization.load_pem_private_key(self._key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)  # noqa: S101 - _create wrote it
        self._key: PrivateKey = key

    @property
    def certificate(self) -> str:
        return self.certificate_file.read_text()

    def _create(self, common_name: str) -> None:
        key = new_key()
        name = _name(common_name, ())
        builder = _builder(name, name, key, CA_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        state.write_text(self._key_file, private_pem(key))
        state.write_text(self.certificate_file, public_pem(builder.sign(key, hashes.SHA256())), mode=0o644)

    def issue(
        self,
        common_name: str,
        sans: Sequence[str] = (),
        organizations: Sequence[str] = (),
        days: int = CERTIFICATE_DAYS,
        rsa_key: bool = False,
    ) -> tuple[str, str]:
        """A certificate for servers and clients and its key, both PEM. `sans` are DNS names and IP addresses."""
        key = new_key(rsa_key)
        builder = _builder(_name(common_name, organizations), self._certificate.subject, key, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer_id, critical=False)
        if sans:
            names = x509.SubjectAlternativeName([_general_name(san) for san in sans])
            builder = builder.add_extension(names, critical=False)
        return public_pem(builder.sign(self._key, hashes.SHA256())), private_pem(key)


def authority() -> Authority:
    """The CA that the sandbox's AWS certificates are from: ca/ca.crt of the state folder."""
    return Authority(state.root() / "ca", "langsmith.aws sandbox CA")


def issue(
    common_name: str, sans: Sequence[str] = (), days: int = CERTIFICATE_DAYS, rsa_key: bool = False
) -> tuple[str, str]:
    """A certificate of the sandbox CA, and its key, both PEM."""
    return authority().issue(common_name, sans or [common_name], days=days, rsa_key=rsa_key)


def new_key(rsa_key: bool = False) -> PrivateKey:
    """A private key: ECDSA P-256, as it takes no time to make, or RSA 2048."""
    return rsa.generate_private_key(65537, 2048) if rsa_key else ec.generate_private_key(ec.SECP256R1())


def private_pem(key: PrivateKey) -> str:
    """The PEM text of a private key, not encrypted."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public_pem(certificate: x509.Certificate) -> str:
    """The PEM text of a certificate."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _builder(subject: x509.Name, issuer: x509.Name, key: PrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    # An hour back, for clocks that differ.
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        return x509.DNSName(san)
