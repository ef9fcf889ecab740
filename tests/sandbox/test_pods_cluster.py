# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools
import http.client
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient
from ansible_collections.langsmith.aws.plugins.module_utils.clients.port_forward import PortForward

from sandbox import cli, network, state, supervisor
from sandbox.controlplane import build, launch
from sandbox.controlplane.client import ApiError, Client, NotFoundError

pytestmark = pytest.mark.sandbox

PODS = next(program for program in cli.CLUSTER_PROGRAMS if program.name == "pods")
NODE = "ip-10-0-17-5.us-east-1.compute.internal"
IMAGES = {
    "shell": ["/bin/sh", "-c"],
    "python": [sys.executable, "-u", "-c"],
    "web": [sys.executable, "-u", "-m", "http.server"],
    "absent": None,
}
SECONDS = 120


def wait_for(what: str, condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}; the end of the log:\n{supervisor.last_lines('pods')}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A control plane of its own with one node, and the pods part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(state.FOLDER_VARIABLE, str(tmp_path_factory.mktemp("state")))
        patch.delenv(state.SETTINGS_VARIABLE, raising=False)
        state.write_json("settings.json", {"images": IMAGES, "restart_backoff_seconds": [0.5, 1]})
        try:
            launch.start()
            cli.start_program(PODS)
            found = Client()
            room = {"cpu": "8", "memory": "32Gi", "pods": "58"}
            metadata = {"name": NODE, "annotations": {"kwok.x-k8s.io/node": "fake"}}
            node = {"kind": "Node", "metadata": metadata, "status": {"capacity": room, "allocatable": room}}
            found.post("/api/v1/nodes", node)
            wait_for("no service account", lambda: has(found, "/api/v1/namespaces/default/serviceaccounts/default"))
            yield found
        finally:
            cli.stop()


def has(client: Client, path: str) -> bool:
    try:
        client.get(path)
    except NotFoundError:
        return False
    return True


def path(name: str = "", kind: str = "pods") -> str:
    return f"/api/v1/namespaces/default/{kind}" + (f"/{name}" if name else "")


def create(
    client: Client, name: str, image: str, *command: str, pod: dict[str, Any] | None = None, **spec: Any
) -> None:
    container = {"name": "main", "image": image, "command": list(command), **spec}
    body = {"metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": [container], **(pod or {})}}
    client.post(path(), body)


def status(client: Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(path(name)).get("status", {})
    return found


def container(client: Client, name: str) -> dict[str, Any]:
    return next(iter(status(client, name).get("containerStatuses", [])), {})


def succeeded(client: Client, name: str) -> bool:
    return bool(status(client, name).get("phase") == "Succeeded")


def waiting(client: Client, name: str) -> str:
    return str(container(client, name).get("state", {}).get("waiting", {}).get("reason"))


def is_ready(client: Client, name: str) -> bool:
    return any(
        item["type"] == "Ready" and item["status"] == "True" for item in status(client, name).get("conditions", [])
    )


def log(client: Client, name: str, **query: Any) -> str:
    """What the container wrote; what stands for it where there is no log, as until kwok has been told of it."""
    try:
        return str(client.get(f"{path(name)}/log", **query)["text"])
    except ApiError as error:
        return f"no log: {error}"


def await_log(client: Client, name: str, text: str) -> None:
    """The container writes this and nothing else."""
    until = time.monotonic() + SECONDS
    while (found := log(client, name)) != text and time.monotonic() < until:
        time.sleep(0.1)
    assert found == text


def pid(name: str) -> int:
    part = supervisor.find(f"pod-default-{name}-main")
    assert part is not None
    return part.pid


def reasons(client: Client, name: str) -> set[str]:
    events = client.get(path(kind="events"), fieldSelector=f"involvedObject.name={name}")["items"]
    return {event["reason"] for event in events}


def remove(client: Client, name: str) -> None:
    client.delete(path(name))
    wait_for(f"{name} stays", lambda: not has(client, path(name)))


def test_the_node_is_ready_at_the_address_of_its_name(client: Client) -> None:
    def addresses() -> dict[str, str]:
        found = client.get(f"/api/v1/nodes/{NODE}")["status"].get("addresses", [])
        return {item["type"]: item["address"] for item in found}

    assert wait_for("no address", addresses)["InternalIP"] == "10.0.17.5"


def test_a_pod_that_ends_well_has_succeeded_and_its_log_is_kept(client: Client) -> None:
    create(client, "once", "shell", "echo $GREETING to $POD", pod={"restartPolicy": "Never"}, env=[
        {"name": "GREETING", "value": "hello"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ])  # fmt: skip
    wait_for("not over", lambda: status(client, "once").get("phase") == "Succeeded")
    await_log(client, "once", "hello to once\n")
    remove(client, "once")


def test_a_pod_that_fails_and_is_not_restarted_has_failed(client: Client) -> None:
    create(client, "failing", "shell", "exit 3", pod={"restartPolicy": "Never"})
    wait_for("not over", lambda: status(client, "failing").get("phase") == "Failed")
    ended = container(client, "failing")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    remove(client, "failing")


def test_a_container_that_ends_again_and_again_is_in_a_crash_loop(client: Client) -> None:
    create(client, "crashing", "shell", "echo dying; exit 7")
    wait_for("no crash loop", lambda: waiting(client, "crashing") == "CrashLoopBackOff")
    wait_for("no restart", lambda: container(client, "crashing")["restartCount"] >= 2)
    assert container(client, "crashing")["lastState"]["terminated"]["exitCode"] == 7
    # While it runs for its moment it is ready, as nothing probes it; in the pause it is not.
    wait_for("ready in the pause", lambda: not is_ready(client, "crashing"))
    wait_for("no event", lambda: "BackOff" in reasons(client, "crashing"))
    wait_for("no previous log", lambda: log(client, "crashing", previous="true") == "dying\n")
    remove(client, "crashing")


def test_a_missing_secret_holds_the_container_until_it_is_there(client: Client) -> None:
    secret = {"secretKeyRef": {"name": "late", "key": "password"}}
    env = [{"name": "PASSWORD", "valueFrom": secret}]
    create(client, "needy", "shell", "echo $PASSWORD; sleep 600", env=env)
    wait_for("not held", lambda: waiting(client, "needy") == "CreateContainerConfigError")
    assert container(client, "needy")["state"]["waiting"]["message"] == 'secret "late" not found'
    client.post(path(kind="secrets"), {"metadata": {"name": "late"}, "stringData": {"password": "there"}})
    wait_for("still held", lambda: is_ready(client, "needy"))
    await_log(client, "needy", "there\n")
    remove(client, "needy")


def test_an_image_that_the_registry_does_not_have_is_backed_off_from(client: Client) -> None:
    create(client, "imageless", "registry.example.com/absent:1")
    wait_for("no back-off", lambda: waiting(client, "imageless") == "ImagePullBackOff")
    assert status(client, "imageless")["phase"] == "Pending"
    remove(client, "imageless")


def test_a_container_above_its_memory_limit_is_killed(client: Client) -> None:
    script = "import time; filler = bytearray(128 << 20); time.sleep(600)"
    create(client, "greedy", "python", script, resources={"limits": {"memory": "64Mi"}})
    last = wait_for("not killed", lambda: container(client, "greedy").get("lastState", {}).get("terminated"))
    assert (last["reason"], last["exitCode"]) == ("OOMKilled", 137)
    remove(client, "greedy")


def test_init_containers_run_in_order_before_the_others_and_share_volumes(client: Client) -> None:
    mount = {"name": "shared", "mountPath": "/data"}
    first, second = (
        {"name": f"init-{word}", "image": "python", "volumeMounts": [mount], "args": ["-c", word]} for word in "ab"
    )
    write = "import json,os,sys; folder=json.loads(os.environ['SANDBOX_VOLUMES'])['/data']; "
    for item, word in ((first, "a"), (second, "b")):
        item["args"] = [write + f"open(folder+'/order','a').write('{word}')"]
    read = write + "print(open(folder+'/order').read())"
    pod = {"initContainers": [first, second], "volumes": [{"name": "shared", "emptyDir": {}}], "restartPolicy": "Never"}
    create(client, "ordered", "python", read, pod=pod, volumeMounts=[mount])
    wait_for("not over", lambda: status(client, "ordered").get("phase") == "Succeeded")
    await_log(client, "ordered", "ab\n")
    remove(client, "ordered")


def test_a_claimed_volume_outlives_its_pod_and_is_the_folder_of_its_handle(client: Client) -> None:
    csi = {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-0123"}
    size, modes = {"storage": "1Gi"}, ["ReadWriteOnce"]
    volume = {"capacity": size, "accessModes": modes, "csi": csi, "storageClassName": ""}
    volume["claimRef"] = {"namespace": "default", "name": "data"}
    client.post("/api/v1/persistentvolumes", {"metadata": {"name": "pv-1"}, "spec": volume})
    claim = {"accessModes": modes, "resources": {"requests": size}, "storageClassName": "", "volumeName": "pv-1"}
    client.post(path(kind="persistentvolumeclaims"), {"metadata": {"name": "data"}, "spec": claim})
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    mounts = [{"name": "data", "mountPath": "/var/lib/data", "subPath": "deep"}]
    pod = {"volumes": volumes, "restartPolicy": "Never"}
    for turn in ("first", "second"):
        create(client, turn, "shell", "echo $HOSTNAME >> $FILE; cat $FILE", pod=pod, volumeMounts=mounts, env=[
            {"name": "FILE", "value": "/var/lib/data/turns"},
        ])  # fmt: skip
        wait_for("not over", functools.partial(succeeded, client, turn))
    await_log(client, "second", "first\nsecond\n")
    assert (state.root() / "volumes" / "vol-0123" / "deep" / "turns").read_text() == "first\nsecond\n"
    for turn in ("first", "second"):
        remove(client, turn)


def test_sigterm_comes_first_and_the_grace_period_is_kept(client: Client) -> None:
    script = "trap 'echo closing; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    # Only SIGTERM, and only the grace period of the deletion, end them before this is over.
    pod = {"terminationGracePeriodSeconds": 3600}
    create(client, "polite", "shell", script, pod=pod)
    create(client, "deaf", "shell", "trap '' TERM; echo up; while :; do sleep 0.05; done", pod=pod)
    for name in ("polite", "deaf"):
        await_log(client, name, "up\n")
    began = time.monotonic()
    client.request("DELETE", path("deaf"), {"gracePeriodSeconds": 2})
    client.delete(path("polite"))
    wait_for("polite stays", lambda: not has(client, path("polite")))
    wait_for("deaf stays", lambda: not has(client, path("deaf")))
    assert time.monotonic() - began >= 2
    assert "Killing" in reasons(client, "deaf")


def serve(client: Client) -> str:
    """A Deployment of a web server and its Service; the Service's address."""
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    spec = {
        "containers": [
            {
                "name": "main",
                "image": "web:1",
                "args": ["8080"],
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": probe,
            }
        ]
    }
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    body = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    client.post("/apis/apps/v1/namespaces/default/deployments", body)
    ports = [{"port": 80, "targetPort": "http"}]
    service = {"metadata": {"name": "web"}, "spec": {"selector": labels, "ports": ports}}
    return str(client.post(path(kind="services"), service)["spec"]["clusterIP"])


def web_pod(client: Client) -> str:
    items = client.get(path(), labelSelector="app=web")["items"]
    return str(items[0]["metadata"]["name"]) if items else ""


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(
            f"http://{network.loopback(address)}:{network.real_port(80)}/", timeout=2
        ) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


# Asks again as long as nobody answers: a pod that is held up is not ready for a moment.
CALLER = """
import socket, time, urllib.request

def status(name):
    while True:
        try:
            return urllib.request.urlopen(f"http://{name}/").status
        except OSError:
            time.sleep(0.1)

print([status(name) for name in ("web", "web.default", "web.default.svc", "web.default.svc.cluster.local")])
try:
    socket.create_connection(("nobody.default.svc", 80))
except socket.gaierror:
    print("unknown")
"""


def test_a_service_answers_as_long_as_its_pod_is_ready(client: Client) -> None:
    address = serve(client)
    wait_for("no answer", lambda: answers(address))
    name = web_pod(client)
    os.kill(pid(name), signal.SIGSTOP)
    try:
        wait_for("still ready", lambda: not is_ready(client, name))
        wait_for("still answering", lambda: not answers(address))
    finally:
        os.kill(pid(name), signal.SIGCONT)
    wait_for("no answer again", lambda: answers(address))

    create(client, "caller", "python", CALLER, pod={"restartPolicy": "Never"})
    wait_for("not over", lambda: status(client, "caller").get("phase") in {"Succeeded", "Failed"})
    await_log(client, "caller", "[200, 200, 200, 200]\nunknown\n")
    remove(client, "caller")


def test_a_failing_liveness_probe_restarts_the_container(client: Client) -> None:
    script = "import os; print(os.getpid()); import time; time.sleep(600)"
    probe = {"exec": {"command": ["sh", "-c", "exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}
    create(client, "sick", "python", script, livenessProbe=probe, pod={"terminationGracePeriodSeconds": 1})
    wait_for("no restart", lambda: container(client, "sick").get("restartCount", 0) >= 1)
    wait_for("no event", lambda: {"Unhealthy", "Killing"} <= reasons(client, "sick"))
    remove(client, "sick")


def test_a_pod_of_an_annotated_service_account_gets_its_role(client: Client) -> None:
    role = "arn:aws:iam::123456789012:role/demo"
    annotations = {"eks.amazonaws.com/role-arn": role}
    client.post(path(kind="serviceaccounts"), {"metadata": {"name": "roled", "annotations": annotations}})
    script = "import os; print(os.environ['AWS_ROLE_ARN'], open(os.environ['AWS_WEB_IDENTITY_TOKEN_FILE']).read()[:2])"
    create(client, "roled", "python", script, pod={"restartPolicy": "Never", "serviceAccountName": "roled"})
    wait_for("not over", lambda: status(client, "roled").get("phase") in {"Succeeded", "Failed"})
    await_log(client, "roled", f"{role} ey\n")
    remove(client, "roled")


def test_a_pod_whose_image_nothing_stands_for_is_ready_without_a_process(client: Client) -> None:
    create(client, "simulated", "registry.k8s.io/pause:3")
    wait_for("not ready", lambda: is_ready(client, "simulated"))
    assert supervisor.find("pod-default-simulated-main") is None
    remove(client, "simulated")


def test_agnhost_answers_as_its_netexec_does(client: Client) -> None:
    create(
        client, "gate", "registry.k8s.io/e2e-test-images/agnhost:2.53", pod=None, args=["netexec", "--http-port=8081"]
    )
    wait_for("not ready", lambda: is_ready(client, "gate"))
    address = network.loopback(status(client, "gate")["podIP"])

    def hostname() -> str:
        try:
            with urllib.request.urlopen(f"http://{address}:8081/hostname", timeout=2) as answer:
                return str(answer.read().decode())
        except (OSError, http.client.HTTPException):
            return ""

    assert wait_for("no answer", hostname) == "gate"
    remove(client, "gate")


def test_processes_of_a_killed_pods_part_are_ended_and_started_again(client: Client) -> None:
    create(client, "lasting", "shell", "echo up; sleep 600")
    wait_for("not ready", lambda: is_ready(client, "lasting"))
    address, before, part = status(client, "lasting")["podIP"], pid("lasting"), supervisor.find("pods")
    assert part is not None
    os.kill(part.pid, signal.SIGKILL)
    wait_for("not killed", lambda: supervisor.find("pods") is None)
    cli.start_program(PODS)
    wait_for("not restarted", lambda: container(client, "lasting")["restartCount"] == 1 and is_ready(client, "lasting"))
    assert supervisor.start_ticks(before) is None
    assert status(client, "lasting")["podIP"] == address
    remove(client, "lasting")


def test_ports_of_a_pod_are_forwarded_to_kubectl_and_by_the_websockets_of_programs(client: Client) -> None:
    port = {"containerPort": 8080, "name": "http"}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    create(client, "forwarded", "agnhost", "netexec", ports=[port], readinessProbe=probe)
    spec = {"selector": {"app": "forwarded"}, "ports": [{"port": 80, "targetPort": "http"}]}
    client.post(path(kind="services"), {"metadata": {"name": "forwarded"}, "spec": spec})
    wait_for("the pod is not ready", lambda: is_ready(client, "forwarded"))
    kubeconfig = launch.folder() / "admin.kubeconfig"
    kubectl = [str(build.folder() / "kubectl"), "--kubeconfig", str(kubeconfig), "port-forward", "svc/forwarded", ":80"]

    def answer() -> bytes:
        # kubectl ends with the first connection that fails, as long as kwok has not been told of the port.
        with subprocess.Popen(kubectl, stdout=subprocess.PIPE, text=True) as forwarding:
            assert forwarding.stdout is not None
            _, _, local = forwarding.stdout.readline().partition("from ")
            try:
                return bytes(urllib.request.urlopen(f"http://{local.split()[0]}/hostname", timeout=60).read())
            except (OSError, http.client.HTTPException, IndexError):
                return b""
            finally:
                forwarding.terminate()

    assert wait_for("nothing is forwarded", answer) == b"forwarded"
    forward = PortForward(str(kubeconfig), "default")
    asking = HttpClient("http://forwarded.default.svc", dial=forward.dial, connect_timeout=60, timeout=60)
    answers = [asking.request("GET", "/hostname") for _time in range(3)]
    assert {answer.body for answer in answers} == {b"forwarded"}
    asking.close()
    forward.close()
    remove(client, "forwarded")


def test_kubectl_and_helm_speak_to_the_cluster(client: Client) -> None:
    environment = {**os.environ, "KUBECONFIG": str(launch.folder() / "admin.kubeconfig")}
    for words in (["kubectl", "get", "nodes", "--output=name"], ["helm", "list", "--short"]):
        argv = [str(build.folder() / words[0]), *words[1:]]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == (f"node/{NODE}" if words[0] == "kubectl" else "")
