# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one answer of the public URL says about name, load balancer, certificate and what stands behind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.chart_names import fullname
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

Layer = Literal["dns", "tcp", "tls", "http"]

LAYERS: tuple[Layer, ...] = ("dns", "tcp", "tls", "http")

_COMPONENTS = {"dns": "dns", "tcp": "load-balancer", "tls": "certificate", "http": "load-balancer"}


@dataclass(frozen=True)
class ClickHouse:
    """LangSmith's ClickHouse: its Service in the installation's namespace, empty outside of the cluster.

    ``cluster`` is the name of the cluster of replicas, empty where there are none. ``secret`` is the Secret of the
    namespace that holds the way to it, with the keys of LangSmith's chart.
    """

    service: str = "langsmith-clickhouse"
    cluster: str = ""
    secret: str = "langsmith-clickhouse"  # noqa: S105 - the name of a Secret

    @classmethod
    def of(cls, release: str, given: Mapping[str, str | None] | None) -> ClickHouse:
        """What was given of it; what was not is the one of the chart."""
        name = f"{fullname(release)}-clickhouse"
        told = {key: value for key, value in (given or {}).items() if value is not None}
        return cls(**{"service": name, "secret": name, **told})


@dataclass(frozen=True)
class Place:
    """Where the URL leads and what the commands of the remedies name. ``address`` is ``host:port`` really reached."""

    url: str
    address: str
    namespace: str = "langsmith"
    release: str = "langsmith"
    clickhouse: ClickHouse = ClickHouse()

    @property
    def host(self) -> str:
        """The URL's name."""
        return urlsplit(self.url).hostname or ""

    @property
    def fullname(self) -> str:
        """What the names of the release's objects begin with."""
        return fullname(self.release)

    def kubectl(self, command: str) -> str:
        """A kubectl command in the installation's namespace."""
        return f"kubectl -n {self.namespace} {command}"

    def logs(self, component: str) -> str:
        """The command that shows the last log lines of a Deployment of the chart."""
        return self.kubectl(f"logs deployment/{self.fullname}-{component} --tail=100")

    def state(self, component: str) -> str:
        """The command that shows how many pods of a Deployment of the chart are ready, and its events."""
        return self.kubectl(f"describe deployment/{self.fullname}-{component}")


def judge_endpoint(observed: Observed, place: Place, expect_status: Collection[int]) -> list[Finding]:
    """One finding per layer up to the one that failed, from an answer of the URL."""
    failed = observed.phase if observed.status is None else ""
    findings: list[Finding] = []
    for layer in LAYERS:
        if layer == failed:
            return [*findings, transport_finding(f"endpoint.{layer}", observed, place)]
        if layer != "http" and not (layer == "tls" and place.url.startswith("http://")):
            findings.append(_passed(layer, place))
    return [*findings, _http_finding(observed, place, expect_status)]


def transport_finding(rule: str, observed: Observed, place: Place) -> Finding:
    """The finding on an answer that never came, by the layer that it got stuck in."""
    remedies = {
        "dns": f"point {place.host} at the load balancer (an alias record) and look it up: dig +short {place.host}",
        "tcp": "see whether the load balancer has an address and its security group lets this machine in: "
        + place.kubectl("get ingress -o wide"),
        "tls": f"see which certificate is shown: openssl s_client -connect {place.address} -servername {place.host}; "
        "then put the right one on the Ingress (annotation alb.ingress.kubernetes.io/certificate-arn) or name its "
        "authority in ca_file",
        "http": "see whether the load balancer has a ready target: " + place.kubectl("get ingress,pods -o wide"),
    }
    expected = {
        "dns": f"{place.host} resolves",
        "tcp": f"{place.address} takes connections",
        "tls": f"a certificate that is valid for {place.host} and trusted here",
        "http": "an answer",
    }
    return Finding(
        id=rule,
        status="fail",
        component=_COMPONENTS[observed.phase],
        subject=place.url,
        observed=observed.reason,
        expected=expected[observed.phase],
        remedy=remedies[observed.phase],
    )


def gateway_fault(observed: Observed, place: Place) -> tuple[str, str]:
    """The component and the remedy for an answer that a load balancer, proxy or firewall wrote."""
    if observed.status is not None and 300 <= observed.status < 400:
        return "load-balancer", f"use the URL that it redirects to ({observed.location or 'no Location given'})"
    if observed.status == 403:
        return "firewall", (
            "see which rule of the web ACL blocked it: aws wafv2 get-sampled-requests; "
            "or which load balancer rule answers 403"
        )
    if observed.status in (502, 503, 504):
        return "load-balancer", "find the target that is not ready: " + place.kubectl("get ingress,pods,endpointslices")
    return "load-balancer", "see where the Ingress sends this path: " + place.kubectl("describe ingress")


def _passed(layer: str, place: Place) -> Finding:
    reached = {
        "dns": f"{place.address.rpartition(':')[0]} resolves",
        "tcp": f"{place.address} takes connections",
        "tls": f"the certificate holds for {place.host}",
    }
    return Finding(
        id=f"endpoint.{layer}",
        status="pass",
        component=_COMPONENTS[layer],
        subject=place.url,
        observed=reached[layer],
        expected=reached[layer],
    )


def _http_finding(observed: Observed, place: Place, expect_status: Collection[int]) -> Finding:
    wanted = " or ".join(str(status) for status in expect_status)
    if observed.status in expect_status:
        return Finding("endpoint.http", "pass", "load-balancer", place.url, observed.describe(), f"status {wanted}")
    component, remedy = gateway_fault(observed, place)
    return Finding("endpoint.http", "fail", component, place.url, observed.describe(), f"status {wanted}", remedy)
