# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container of a pod: started, probed, restarted with growing pauses, ended; and what its status says of it."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import images, state
from sandbox.controlplane.client import Client, Object
from sandbox.pods import probes, process, resolve
from sandbox.pods.events import Events, now
from sandbox.pods.volumes import Volumes

# The kubelet looks again at a container that cannot be made every ten seconds or so.
RETRY_SECONDS = 2.0
MEMORY_CHECK_SECONDS = 1.0
OUT_OF_MEMORY = 137
# Programs that an exec probe or hook may name although the sandbox has no image's file system.
TOOLS = frozenset({"sh", "bash", "test", "cat", "true", "false", "sleep", "echo", "ls", "env", "printenv"})


@dataclasses.dataclass
class Surroundings:
    """What the containers of a pod share. `base` is the environment that the sandbox itself gives to each."""

    client: Client
    sources: resolve.Sources
    events: Events
    pod: Object
    address: str
    folder: Path
    volumes: Volumes
    base: dict[str, str]
    log_changed: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])


class Container:
    """`policy` is Always, OnFailure or Never."""

    def __init__(self, spec: Object, around: Surroundings, policy: str, before: Object | None = None) -> None:
        before = before or {}
        self.name, self.spec, self._around, self._policy = str(spec["name"]), spec, around, policy
        self.process: process.Running | None = None
        self.restarts = int(before.get("restartCount", 0))
        self.state: Object = {"waiting": {"reason": "ContainerCreating"}}
        self.last_state: Object = before.get("lastState") or {}
        self.ended: Object | None = None
        self.passed_startup = False
        self.ready = False
        self._next_start, self._pause, self._started_at = 0.0, 0.0, 0.0
        self._started_text = ""
        self._probes: dict[str, probes.Probe] = {}
        self._environment: dict[str, str] = {}
        self._mounts: dict[str, Path] = {}
        self._killed_for = ""
        self._kill_at: float | None = None
        self._next_memory_check = 0.0
        self._recover(before)

    def _recover(self, before: Object) -> None:
        """Take up a container whose process went with the node that ran it."""
        was = before.get("state", {})
        if "terminated" in was:
            self._conclude(was["terminated"])
        elif "running" in was:
            lost = {"exitCode": 255, "reason": "Unknown", "startedAt": was["running"]["startedAt"], "finishedAt": now()}
            self._conclude(lost)

    @property
    def log(self) -> Path:
        return self._log(self.restarts)

    @property
    def previous_log(self) -> Path | None:
        path = self._log(self.restarts - 1)
        return path if self.restarts and path.exists() else None

    def _log(self, number: int) -> Path:
        return self._around.folder / self.name / f"{number}.log"

    @property
    def running(self) -> bool:
        return self.process is not None

    def status(self) -> Object:
        """Its entry of the pod's status."""
        image = self.spec["image"]
        return {
            "name": self.name,
            "image": image,
            "imageID": image if "@" in image else f"{image}@sandbox" if self._started_text else "",
            "ready": self.ready,
            "started": self.passed_startup,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last_state,
            **(
                {"containerID": f"sandbox://{self._around.pod['metadata']['uid']}/{self.name}"}
                if self._started_text
                else {}
            ),
        }

    def step(self) -> None:
        """Go on without waiting."""
        if self.ended is not None:
            return
        if self.process is None:
            if time.monotonic() >= self._next_start:
                self._start()
            return
        code = self.process.poll()
        if code is not None:
            self._exited(code)
            return
        self._limit_memory()
        if self._kill_at is None:
            self._probe()
        elif time.monotonic() > self._kill_at:
            self.process.kill()

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._around.events.write(self._around.pod, kind, reason, message, self.name)

    def _start(self) -> None:
        if self._image_missing():
            return
        try:
            self._resolve()
        except resolve.MissingError as error:
            self.state = {"waiting": {"reason": "CreateContainerConfigError", "message": str(error)}}
            self._event("Warning", "Failed", f"Error: {error}")
            self._next_start = time.monotonic() + RETRY_SECONDS
            return
        if self.last_state or self.state.get("waiting", {}).get("reason") == "CrashLoopBackOff":
            self.restarts += 1
        self._event("Normal", "Pulled", f'Container image "{self.spec["image"]}" already present on machine')
        self._event("Normal", "Created", f"Container created: {self.name}")
        try:
            self.process = self._launch()
        except OSError as error:
            self._failed_to_launch(error)
            return
        self._event("Normal", "Started", f"Container started: {self.name}")
        self._started_at, self._started_text = time.monotonic(), now()
        self.state = {"running": {"startedAt": self._started_text}}
        self._around.log_changed()
        self._probes = {kind: self._new_probe(kind) for kind in ("startup", "readiness", "liveness") if self._has(kind)}
        self.passed_startup = "startup" not in self._probes
        self.ready = self.passed_startup and "readiness" not in self._probes

    def _image_missing(self) -> bool:
        image = self.spec["image"]
        if not images.missing(image):
            return False
        first = self.state["waiting"]["reason"] not in {"ErrImagePull", "ImagePullBackOff"}
        problem = (
            f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
        )
        if first:
            self.state = {"waiting": {"reason": "ErrImagePull", "message": problem}}
            self._event("Normal", "Pulling", f'Pulling image "{image}"')
            self._event("Warning", "Failed", f'Failed to pull image "{image}": {problem}')
            self._event("Warning", "Failed", "Error: ErrImagePull")
        else:
            message = f'Back-off pulling image "{image}": ErrImagePull: {problem}'
            self.state = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
            self._event("Normal", "BackOff", f'Back-off pulling image "{image}"')
        self._next_start = time.monotonic() + RETRY_SECONDS
        return True

    def _resolve(self) -> None:
        around = self._around
        wanted = resolve.environment(self.spec, around.pod, around.sources)
        self._mounts = around.volumes.mounts(self.spec)
        wanted = {name: resolve.relocate(value, self._mounts) for name, value in wanted.items()}
        folders = {mount: str(path) for mount, path in self._mounts.items()}
        own = {"SANDBOX_VOLUMES": json.dumps(folders), "SANDBOX_IMAGE": self.spec["image"]}
        self._environment = {**around.base, **own, **wanted}

    def _launch(self) -> process.Running:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.touch(mode=0o600)
        program = images.argv(self.spec["image"])
        if program is None:
            return process.Nothing(ends=self._policy != "Always")
        words = [resolve.relocate(word, self._mounts) for word in resolve.command(self.spec, self._environment)]
        name = f"pod-{self._around.namespace}-{self._around.name}-{self.name}"
        return process.Process(name, [*program, *words], self._environment, self.log.parent, self.log)

    def _failed_to_launch(self, error: OSError) -> None:
        self._event("Warning", "Failed", f"Error: {error}")
        moment = now()
        self._conclude(
            {
                "exitCode": 128,
                "reason": "StartError",
                "message": str(error),
                "startedAt": moment,
                "finishedAt": moment,
            }
        )

    def _has(self, kind: str) -> bool:
        # There is nothing to ask where nothing runs.
        return f"{kind}Probe" in self.spec and not isinstance(self.process, process.Nothing)

    def _new_probe(self, kind: str) -> probes.Probe:
        return probes.Probe(self.spec[f"{kind}Probe"], self.spec, self._around.address, self.execute)

    def execute(self, command: list[str], timeout: float) -> tuple[int, str]:
        """Run a command as in the container: a shell's as it is, any other by the program that stands for the image."""
        program = images.argv(self.spec["image"])
        words = [resolve.relocate(word, self._mounts) for word in command]
        if program is not None and Path(words[0]).name not in TOOLS:
            words = [*program, *words]
        return probes.run(words, self._environment, timeout)

    def _exited(self, code: int) -> None:
        reason = self._killed_for or ("Completed" if code == 0 else "Error")
        self._killed_for, self._kill_at = "", None
        if time.monotonic() - self._started_at > 2 * state.settings()["restart_backoff_seconds"][1]:
            self._pause = 0.0
        self._conclude({"exitCode": code, "reason": reason, "startedAt": self._started_text, "finishedAt": now()})

    def _conclude(self, terminated: Object) -> None:
        self.process, self.ready, self.passed_startup, self._probes = None, False, False, {}
        code = terminated["exitCode"]
        if self._policy == "Never" or (self._policy == "OnFailure" and code == 0):
            self._finish(terminated)
            return
        self.last_state = {"terminated": terminated}
        first, longest = state.settings()["restart_backoff_seconds"]
        # As the kubelet does: again at once after the first time, then with pauses that double.
        if self._pause == 0.0:
            self.state, self._pause = {"terminated": terminated}, float(first)
            self._next_start = 0.0
            return
        text = f"back-off {self._pause:g}s restarting failed container={self.name} pod={self._around.name}"
        uid = self._around.pod["metadata"]["uid"]
        self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": f"{text}_{self._around.namespace}({uid})"}}
        full = f"Back-off restarting failed container {self.name} in pod {self._around.name}"
        self._event("Warning", "BackOff", f"{full}_{self._around.namespace}({uid})")
        self._next_start = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, float(longest))

    def _finish(self, terminated: Object) -> None:
        self.ended, self.state, self.ready = terminated, {"terminated": terminated}, False

    def _limit_memory(self) -> None:
        limit = self.spec.get("resources", {}).get("limits", {}).get("memory")
        if limit is None or time.monotonic() < self._next_memory_check or self.process is None:
            return
        self._next_memory_check = time.monotonic() + MEMORY_CHECK_SECONDS
        if self.process.memory_bytes() > resolve.quantity(limit):
            self._killed_for = "OOMKilled"
            self.process.kill()

    def _probe(self) -> None:
        if not self.passed_startup:
            self._step_probe("startup")
            startup = self._probes["startup"].result
            if startup is False:
                self._restart("startup")
            if startup is not True:
                return
            self.passed_startup, self.ready = True, "readiness" not in self._probes
        for kind in ("readiness", "liveness"):
            if kind in self._probes:
                self._step_probe(kind)
        if "readiness" in self._probes:
            self.ready = self._probes["readiness"].result is True
        if "liveness" in self._probes and self._probes["liveness"].result is False:
            self._restart("liveness")

    def _step_probe(self, kind: str) -> None:
        problem = self._probes[kind].step()
        if problem is not None:
            self._event("Warning", "Unhealthy", f"{kind.capitalize()} probe failed: {problem}")

    def _restart(self, kind: str) -> None:
        self._event("Normal", "Killing", f"Container {self.name} failed {kind} probe, will be restarted")
        if self.process is not None:
            self.process.terminate()
        grace = self.spec[f"{kind}Probe"].get("terminationGracePeriodSeconds")
        grace = self._around.pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        # Until it is gone there is nothing more to ask.
        self._killed_for, self._kill_at, self._probes, self.ready = "Error", time.monotonic() + grace, {}, False

    def stop(self, grace_seconds: float, wait: Callable[[float], object] = time.sleep) -> None:
        """preStop, SIGTERM, and SIGKILL when `grace_seconds` are over or `wait` returns true; returns after its end."""
        running = self.process
        if running is None:
            return
        deadline = time.monotonic() + grace_seconds
        hook = self.spec.get("lifecycle", {}).get("preStop", {})
        if "exec" in hook and grace_seconds > 0:
            self.execute(hook["exec"]["command"], grace_seconds)
        elif "sleep" in hook and running.poll() is None:
            wait(min(hook["sleep"]["seconds"], grace_seconds))
        running.terminate()
        while running.poll() is None and time.monotonic() < deadline:
            if wait(0.05):
                break
        if running.poll() is None:
            running.kill()
            while running.poll() is None:
                time.sleep(0.02)

    def mark_stopped(self) -> None:
        """Record the end of a container that was stopped with its pod."""
        if self.process is None:
            return
        code = self.process.poll() or 0
        self.process = None
        reason = "Completed" if code == 0 else "Error"
        self._finish({"exitCode": code, "reason": reason, "startedAt": self._started_text, "finishedAt": now()})
