# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for Certificate Manager: a certificate is issued once its validation record really is in Route 53.

The certificate comes from the sandbox's CA. Certificate, key and names of what is issued or imported lie in
acm/<id>.{crt,key,json} of the state folder, for the load balancer.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import moto.acm.models as models
from cryptography import x509
from moto.acm.models import AWSCertificateManagerBackend, CertBundle
from moto.acm.responses import AWSCertificateManagerResponse
from moto.core.exceptions import AWSError
from moto.elbv2.models import elbv2_backends
from moto.route53.models import route53_backends

from sandbox import pki, state
from sandbox.aws import access
from sandbox.aws.states import delay

FOLDER = "acm"


class _InUseError(AWSError):
    TYPE = "ResourceInUseException"


class _InProgressError(AWSError):
    TYPE = "RequestInProgressException"


def validation_record(domain: str) -> dict[str, str]:
    """The CNAME that proves a domain: the same for every certificate of the account that names the domain."""
    base = domain.removeprefix("*.")
    name, value = (
        hashlib.md5(f"{access.ACCOUNT}{part}{base}".encode(), usedforsecurity=False).hexdigest() for part in "nv"
    )
    return {"Name": f"_{name}.{base}.", "Type": "CNAME", "Value": f"_{value}.acm-validations.aws."}


def validated(domain: str) -> bool:
    """Whether a public hosted zone of the account holds the domain's record."""
    record = validation_record(domain)
    for zone in list(route53_backends[access.ACCOUNT]["aws"].zones.values()):
        if zone.private_zone:
            continue
        for entry in list(zone.rrsets):
            same_name = entry.name.rstrip(".") == record["Name"].rstrip(".")
            if (
                same_name
                and entry.type == "CNAME"
                and record["Value"].rstrip(".") in [_value(r) for r in entry.records]
            ):
                return True
    return False


def _value(record: Any) -> str:
    return str(record["Value"] if isinstance(record, dict) else record).rstrip(".")


def check(self: CertBundle) -> None:
    """Issue the certificate when all its names are validated; 72 hours without make it time out, as ACM does."""
    if self.type != "AMAZON_ISSUED" or self.status != "PENDING_VALIDATION":
        return
    names = self.sandbox_names
    if not all(validated(name) for name in names):
        # DNS validation, ACM user guide: without it within 72 hours the status becomes "Validation timed out".
        if time.time() - self.sandbox_requested > 72 * 3600:
            self.status = "VALIDATION_TIMED_OUT"
        return
    self.sandbox_validated = getattr(self, "sandbox_validated", None) or time.time()
    if time.time() < self.sandbox_validated + delay("acm::certificate"):
        return
    certificate, key = pki.issue(names[0], names, rsa_key=True)
    self.cert, self.key = certificate.encode(), key.encode()
    self._key, self._cert = self.validate_pk(), self.validate_certificate()
    self.chain = pki.authority().certificate.encode()
    self.issuer_common_name = "Amazon RSA 2048 M02"
    self.status = "ISSUED"
    keep(self)


def identifier(arn: str) -> str:
    """The last part of a certificate's ARN, the name of its files."""
    return arn.rpartition("/")[2]


def keep(bundle: CertBundle) -> None:
    """Write a certificate's files."""
    base = state.root() / FOLDER / identifier(bundle.arn)
    state.write_text(base.with_suffix(".key"), bundle.key.decode())
    chain = bundle.chain.decode() if bundle.type == "AMAZON_ISSUED" else ""
    state.write_text(base.with_suffix(".crt"), bundle.cert.decode() + chain, mode=0o644)
    names = _names(bundle)
    described = {"arn": bundle.arn, "domain_name": names[0], "names": names, "status": "ISSUED"}
    state.write_json(f"{FOLDER}/{identifier(bundle.arn)}.json", described)


def _names(bundle: CertBundle) -> list[str]:
    names = x509.load_pem_x509_certificate(bundle.cert).extensions
    try:
        found = names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        found = []
    return list(dict.fromkeys([bundle.common_name, *found]))


_request = AWSCertificateManagerBackend.request_certificate
_import = AWSCertificateManagerBackend.import_certificate
_delete = AWSCertificateManagerBackend.delete_certificate
_describe = CertBundle.describe
_get = AWSCertificateManagerResponse.get_certificate


def request_certificate(self: AWSCertificateManagerBackend, domain_name: str, *args: Any, **kwargs: Any) -> str:
    """RequestCertificate, validated by DNS."""
    arn = str(_request(self, domain_name, *args, **kwargs))
    bundle = self._certificates[arn]
    if not hasattr(bundle, "sandbox_names"):
        sans = args[1] if len(args) > 1 else kwargs.get("subject_alt_names")
        bundle.sandbox_names = list(dict.fromkeys([domain_name, *(sans or [])]))
        bundle.sandbox_requested = time.time()
    return arn


def import_certificate(self: AWSCertificateManagerBackend, *args: Any, **kwargs: Any) -> str:
    """ImportCertificate."""
    arn = str(_import(self, *args, **kwargs))
    keep(self._certificates[arn])
    return arn


def in_use_by(self: CertBundle) -> list[str]:
    """The load balancers whose listeners have the certificate."""
    balancers = [
        lb for region in list(elbv2_backends[access.ACCOUNT].values()) for lb in region.load_balancers.values()
    ]
    return [lb.arn for lb in balancers if any(self.arn in listener.certificates for listener in lb.listeners.values())]


def _ignore(_: CertBundle, __: list[str]) -> None:
    """moto counts uses itself, and never uncounts them."""


def delete_certificate(self: AWSCertificateManagerBackend, arn: str) -> None:
    """DeleteCertificate: refused while a load balancer has it."""
    bundle = self._certificates.get(arn)
    if bundle is not None and bundle.in_use_by:
        raise _InUseError(f"Certificate {arn} in account {access.ACCOUNT} is in use.")
    _delete(self, arn)
    # moto keeps the token, and answers the next request that carries it with what it no longer has.
    self._idempotency_tokens = {key: held for key, held in self._idempotency_tokens.items() if held["arn"] != arn}
    for suffix in ("crt", "key", "json"):
        (state.root() / FOLDER / f"{identifier(arn)}.{suffix}").unlink(missing_ok=True)


def describe(self: CertBundle) -> dict[str, Any]:
    """DescribeCertificate: a validation status for each name, and dates of issue only once it is issued."""
    result = dict(_describe(self))
    certificate = result["Certificate"]
    if self.type != "AMAZON_ISSUED":
        return result
    names = self.sandbox_names
    certificate["DomainName"], certificate["SubjectAlternativeNames"] = names[0], names
    certificate["DomainValidationOptions"] = [
        {
            "DomainName": name,
            "ValidationDomain": name,
            "ValidationStatus": "SUCCESS" if self.status == "ISSUED" or validated(name) else "PENDING_VALIDATION",
            "ValidationMethod": "DNS",
            "ResourceRecord": validation_record(name),
        }
        for name in names
    ]
    if self.status == "ISSUED":
        certificate["RenewalEligibility"] = "ELIGIBLE" if self.in_use_by else "INELIGIBLE"
    else:
        for key in ("IssuedAt", "NotBefore", "NotAfter", "Serial", "Issuer"):
            certificate.pop(key, None)
    return result


def get_certificate(self: AWSCertificateManagerResponse) -> Any:
    """GetCertificate: refused until it is issued."""
    bundle = self.acm_backend.get_certificate(self._get_param("CertificateArn"))
    if bundle.status == "PENDING_VALIDATION":
        raise _InProgressError(f"Certificate request {bundle.arn} is in progress")
    return _get(self)


def install() -> None:
    """Put all of this into moto."""
    CertBundle.check, CertBundle.describe = check, describe
    CertBundle.in_use_by = property(in_use_by, _ignore)
    models.AWSCertificateManagerBackend.set_certificate_in_use_by = lambda _self, _arn, _name: None
    AWSCertificateManagerBackend.request_certificate = request_certificate
    AWSCertificateManagerBackend.import_certificate = import_certificate
    AWSCertificateManagerBackend.delete_certificate = delete_certificate
    AWSCertificateManagerResponse.get_certificate = get_certificate
