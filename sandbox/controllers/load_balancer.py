# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the AWS Load Balancer Controller: Ingresses of class alb become Application Load Balancers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from sandbox import state
from sandbox.controllers import elbv2, ingress_model
from sandbox.controllers.aws import Account, AwsError
from sandbox.controllers.elbv2 import Clients, Deployed
from sandbox.controllers.ingress_model import Group, GroupId, LoadBalancer, ModelError, World
from sandbox.controllers.kubernetes import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    INGRESS,
    INGRESS_CLASS,
    NODE,
    SERVICE,
    ApiError,
    Cluster,
    Kind,
    Object,
    annotations_of,
    argument,
    labels_of,
    patched_finalizers,
    ready_deployment,
)
from sandbox.controllers.loop import IDLE_SECONDS, Controller

API = "/apis/elbv2.k8s.aws/v1beta1"
CLASS_PARAMETERS = Kind(API, "ingressclassparams", "IngressClassParams", namespaced=False)
BINDING = Kind(API, "targetgroupbindings", "TargetGroupBinding")
SESSION_NAME = "aws-load-balancer-controller"
APP, COMPONENT = "aws-load-balancer-controller", "ingress"
# The controller resyncs once in ten hours; what another hand changed in AWS shows here after this long.
RESYNC_SECONDS = 60.0
# The controller keeps the list of certificates for a minute.
CERTIFICATE_SECONDS = 10.0
log = logging.getLogger(__name__)


class LoadBalancerController(Controller):
    """Reconciles groups of Ingresses. `deployed` is called after each change in AWS."""

    name = "aws-load-balancer-controller"

    def __init__(self, cluster: Cluster, account: Account, deployed: Callable[[], None]) -> None:
        super().__init__(cluster, account)
        self._deployed = deployed
        self._deployments = self.watch(DEPLOYMENT)
        self._ingresses = self.watch(INGRESS)
        self._classes = self.watch(INGRESS_CLASS)
        self._parameters = self.watch(CLASS_PARAMETERS)
        self._services = self.watch(SERVICE)
        self._slices = self.watch(ENDPOINT_SLICE)
        self._nodes = self.watch(NODE)
        self._bindings = self.watch(BINDING)
        self._done: dict[GroupId, tuple[str, float]] = {}
        self._told: dict[GroupId, str] = {}
        self._certificates: tuple[float, dict[str, list[str]]] = (0.0, {})

    def reconcile(self) -> float:
        deployment = ready_deployment(self._deployments.all(), APP)
        if deployment is None:
            return IDLE_SECONDS
        found = ingress_model.groups(self._ingresses.all(), self._ours)
        for group in found:
            self._guarded(deployment, group)
        gone = set(self._done) - {group.id for group in found}
        for key in gone:
            del self._done[key]
        return IDLE_SECONDS

    def _guarded(self, deployment: Object, group: Group) -> None:
        everyone = [*group.members, *group.inactive]
        version = repr([item["metadata"]["resourceVersion"] for item in everyone])
        version += repr(annotations_of(deployment))
        if self.blocked(str(group.id), version):
            return
        try:
            self._group(deployment, group)
        except ModelError as error:
            self._fail(group, version, "FailedBuildModel", f"Failed build model due to {error}")
        except AwsError as error:
            self._fail(group, version, "FailedDeployModel", f"Failed deploy model due to {error}")
        except ApiError as error:
            # A conflict is another hand's write; the next look sees it.
            if error.status != 409:
                log.warning("%s: %s", group.id, error)
            self.failed(str(group.id), version)
        else:
            self.succeeded(str(group.id))

    def _fail(self, group: Group, version: str, reason: str, message: str) -> None:
        log.warning("%s: %s", group.id, message)
        self._event(group, "Warning", reason, message)
        self._told.pop(group.id, None)
        self._done.pop(group.id, None)
        self.failed(str(group.id), version)

    def _event(self, group: Group, type_: str, reason: str, message: str) -> None:
        for member in group.members:
            self.cluster.event(COMPONENT, INGRESS, member, type_, reason, message)

    def _group(self, deployment: Object, group: Group) -> None:
        if not group.members:
            self._dissolve(deployment, group)
            return
        for member in group.members:
            change = patched_finalizers(member, group.id.finalizer, True)
            if change:
                self._ingresses.put(self.cluster.patch(INGRESS, member, change))
        clients = self._building(lambda: self._clients(deployment))
        model = self._building(lambda: self._model(deployment, clients, group))
        digest = repr(model)
        known = self._done.get(group.id)
        if known is None or known[0] != digest or time.monotonic() > known[1]:
            subnets = self._building(lambda: elbv2.resolve_subnets(clients, model))
            deployed = elbv2.deploy(clients, model, subnets)
            self._bind(clients, model, deployed)
            self._tell(group, model, deployed)
            self._done[group.id] = (digest, time.monotonic() + RESYNC_SECONDS)
            self._deployed()
        for item in group.inactive:
            self._let_go(item, group.id)

    def _building(self, work: Callable[[], Any]) -> Any:
        """What fails on the way to the model is a failed build, also when AWS refused."""
        try:
            return work()
        except AwsError as error:
            raise ModelError(str(error)) from error

    def _model(self, deployment: Object, clients: Clients, group: Group) -> LoadBalancer:
        world = World(
            cluster=clients.cluster,
            service=self._services.get,
            endpoint_slices=self._endpoint_slices,
            class_parameters=self._class_parameters,
            default_tags=_tags(argument(deployment, "default-tags") or ""),
        )

        def discover(hosts: Sequence[str]) -> Sequence[str]:
            return ingress_model.certificates_for(hosts, self._certificate_domains(clients))

        return ingress_model.build(group, world, discover)

    def _certificate_domains(self, clients: Clients) -> dict[str, list[str]]:
        until, found = self._certificates
        if time.monotonic() > until:
            found = elbv2.certificate_domains(clients)
            self._certificates = (time.monotonic() + CERTIFICATE_SECONDS, found)
        return found

    def _tell(self, group: Group, model: LoadBalancer, deployed: Deployed) -> None:
        wanted = [{"hostname": deployed.dns_name}]
        for member in group.members:
            actual = (member.get("status") or {}).get("loadBalancer", {}).get("ingress")
            if actual != wanted:
                change = {"status": {"loadBalancer": {"ingress": wanted}}}
                self._ingresses.put(self.cluster.patch(INGRESS, member, change, "status"))
        # Pods that come and go are the target group binding's affair, not the Ingress's.
        told = repr(
            [model.listeners, model.tags, model.web_acl_arn, [item["metadata"]["uid"] for item in group.members]]
        )
        if self._told.get(group.id) != told:
            self._event(group, "Normal", "SuccessfullyReconciled", "Successfully reconciled")
            self._told[group.id] = told

    # What is no longer wanted

    def _dissolve(self, deployment: Object, group: Group) -> None:
        clients = self._clients(deployment)
        elbv2.remove(clients, str(group.id))
        for binding in self._own_bindings(str(group.id)):
            self.cluster.delete(BINDING, binding["metadata"]["namespace"], binding["metadata"]["name"])
        others = [item for item in self._ingresses.all() if item not in group.inactive and _holds(item)]
        if not others:
            elbv2.release_backend_group(clients)
        for item in group.inactive:
            self._let_go(item, group.id)
        self._done.pop(group.id, None)
        self._told.pop(group.id, None)
        self._deployed()

    def _let_go(self, ingress: Object, group: GroupId) -> None:
        change = patched_finalizers(ingress, group.finalizer, False)
        if change:
            self._ingresses.put(self.cluster.patch(INGRESS, ingress, change))

    # Target group bindings

    def _bind(self, clients: Clients, model: LoadBalancer, deployed: Deployed) -> None:
        before = {item["metadata"]["name"]: item for item in self._own_bindings(model.stack)}
        for group in model.target_groups:
            spec = {
                "targetGroupARN": deployed.target_groups[group.name],
                "targetType": "ip",
                "ipAddressType": "ipv4",
                "targetGroupProtocol": group.protocol,
                "vpcID": clients.vpc,
                "serviceRef": {"name": group.service, "port": group.service_port},
            }
            found = before.pop(group.name, None)
            if found is None:
                metadata = {"name": group.name, "namespace": group.namespace, "labels": _stack_labels(model.stack)}
                self.cluster.create(BINDING, {"metadata": metadata, "spec": spec})
            elif any(found["spec"].get(key) != value for key, value in spec.items()):
                self._bindings.put(self.cluster.patch(BINDING, found, {"spec": spec}))
        for item in before.values():
            self.cluster.delete(BINDING, item["metadata"]["namespace"], item["metadata"]["name"])

    def _own_bindings(self, stack: str) -> list[Object]:
        wanted = _stack_labels(stack).items()
        return [item for item in self._bindings.all() if wanted <= labels_of(item).items()]

    # Looking things up

    def _ours(self, ingress: Object) -> bool:
        name = ingress["spec"].get("ingressClassName")
        if name is None:
            return annotations_of(ingress).get(ingress_model.CLASS_ANNOTATION) == "alb"
        found = self._classes.get(None, name)
        return found is not None and found["spec"].get("controller") == ingress_model.CONTROLLER

    def _class_parameters(self, ingress: Object) -> Object:
        found = self._classes.get(None, ingress["spec"].get("ingressClassName") or "")
        reference = found["spec"].get("parameters") if found else None
        parameters = self._parameters.get(None, reference["name"]) if reference else None
        return dict((parameters or {}).get("spec") or {})

    def _endpoint_slices(self, namespace: str, service: str) -> list[Object]:
        return [
            item
            for item in self._slices.all()
            if item["metadata"]["namespace"] == namespace
            and labels_of(item).get("kubernetes.io/service-name") == service
        ]

    def _clients(self, deployment: Object) -> Clients:
        """Clients with the role of the controller's service account. Raises AwsError."""
        namespace = deployment["metadata"]["namespace"]
        service_account = deployment["spec"]["template"]["spec"].get("serviceAccountName", "default")
        region = argument(deployment, "aws-region") or state.REGION

        def client(service: str) -> Any:
            try:
                return self.account.client(service, namespace, service_account, region, SESSION_NAME)
            except AwsError as error:
                raise AwsError(_identity(str(error)), error.code) from error

        ec2 = client("ec2")
        vpc = argument(deployment, "aws-vpc-id") or self._metadata_vpc(ec2)
        cluster = argument(deployment, "cluster-name") or ""
        return Clients(client("elbv2"), ec2, client("acm"), client("wafv2"), cluster, vpc)

    def _metadata_vpc(self, ec2: Any) -> str:
        for node in self._nodes.all():
            provider = str(node["spec"].get("providerID", ""))
            if provider.startswith("aws:///"):
                return elbv2.instance_vpc(ec2, provider.rpartition("/")[2])
        raise AwsError("failed to get VPC ID: there is no node; give the chart the value vpcId")


def _identity(message: str) -> str:
    reason = message if "operation error" in message else "no EC2 IMDS role found, operation error ec2imds: GetMetadata"
    return (
        "operation error Elastic Load Balancing v2: DescribeLoadBalancers, get identity: get credentials: "
        f"failed to refresh cached credentials, {reason}"
    )


def _stack_labels(stack: str) -> dict[str, str]:
    namespace, slash, name = stack.partition("/")
    if not slash:
        return {"ingress.k8s.aws/stack": stack}
    return {"ingress.k8s.aws/stack-namespace": namespace, "ingress.k8s.aws/stack-name": name}


def _holds(ingress: Object) -> bool:
    finalizers = ingress["metadata"].get("finalizers") or []
    return any(
        name == ingress_model.IMPLICIT_FINALIZER or name.startswith(ingress_model.EXPLICIT_FINALIZER)
        for name in finalizers
    )


def _tags(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)
