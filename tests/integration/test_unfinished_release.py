# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases that Helm did not finish, on a real API server, and what the next run makes of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox import cli, state
from tests.sandbox.langsmith.installation import until

pytestmark = pytest.mark.sandbox
ROOT = Path(__file__).parents[2]
NAMESPACE = "default"
CHART = "acme-1.0.0"
TEMPLATE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {word: {{ .Values.word }}}\n"
# There is no node, so it waits until somebody gives up.
HOOK = """{{- if .Values.hangs }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}
  annotations: {helm.sh/hook: "post-install,post-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: job, image: python}]}}
{{- end }}
"""
PLAYBOOK = """
- name: The next run
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.include_role: {name: langsmith.aws.langsmith, tasks_from: unfinished}
"""


@dataclass
class World:
    """An API server, Helm, and a chart whose hook hangs on demand."""

    folder: Path
    helm: str
    kubeconfig: str

    def argv(self, *arguments: str) -> list[str]:
        """A command line of Helm."""
        return [self.helm, "--kubeconfig", self.kubeconfig, "--namespace", NAMESPACE, *arguments]

    def upgrade(self, name: str, timeout: str = "600s", **values: Any) -> list[str]:
        """The command line that installs or upgrades a release."""
        given = self.folder / f"{name}.json"
        given.write_text(json.dumps(values))
        return self.argv("upgrade", "-i", name, str(self.folder / "chart"), "-f", str(given), "--timeout", timeout)

    def status(self, name: str) -> str:
        """What Helm says of the newest revision; empty where there is no release."""
        done = subprocess.run(self.argv("status", name, "-o", "json"), capture_output=True, text=True, check=False)
        return str(json.loads(done.stdout)["info"]["status"]) if done.returncode == 0 else ""

    def look(self, name: str, **unfinished: object) -> int:
        """Run the role's tasks, with no patience unless told; how many of them changed something."""
        known = {"kubeconfig": self.kubeconfig, "namespace": NAMESPACE, "name": name, "timeout": 0, "sleep": 1}
        given = {"__langsmith_unfinished": known | unfinished, "ansible_python_interpreter": sys.executable}
        playbook = self.folder / "play.yml"
        playbook.write_text(PLAYBOOK)
        bins = f"{Path(sys.executable).parent}:{Path(self.helm).parent}"
        done = subprocess.run(
            ["ansible-playbook", str(playbook), "-e", json.dumps(given)],
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": f"{bins}:{os.environ['PATH']}"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, " ".join(done.stdout.split()) + done.stderr
        return int(re.findall(r"changed=(\d+)", done.stdout)[-1])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("unfinished")
    (folder / "chart" / "templates").mkdir(parents=True)
    (folder / "chart" / "Chart.yaml").write_text("{apiVersion: v2, name: acme, version: 1.0.0}\n")
    (folder / "chart" / "templates" / "word.yaml").write_text(TEMPLATE)
    (folder / "chart" / "templates" / "hook.yaml").write_text(HOOK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(state.FOLDER_VARIABLE, str(tmp_path_factory.mktemp("state")))
        patch.delenv(state.SETTINGS_VARIABLE, raising=False)
        try:
            assert cli.start() == 0
            found = state.read_json("endpoints.json")
            yield World(folder, str(Path(found["bin"]) / "helm"), found["kubernetes"]["admin_kubeconfig"])
        finally:
            cli.stop()


def killed(world: World, name: str, **values: Any) -> None:
    """Begin a release and kill Helm while it waits for the hook."""
    process = subprocess.Popen(world.upgrade(name, **values), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: world.status(name).startswith("pending"), "Helm waits for the hook")
    process.kill()
    process.wait()


def test_a_release_whose_helm_was_killed_can_be_gone_on_with(world: World) -> None:
    killed(world, "killed", word="one", hangs=True)
    assert world.status("killed") == "pending-install"
    assert subprocess.run(world.upgrade("killed", word="one"), capture_output=True, check=False).returncode != 0
    assert world.look("killed", values={"word": "one"}) == 1
    subprocess.run(world.upgrade("killed", word="one"), capture_output=True, check=True)
    assert world.status("killed") == "deployed"


def test_somebody_who_may_be_at_it_is_waited_for(world: World) -> None:
    process = subprocess.Popen(
        world.upgrade("shared", timeout="15s", word="one", hangs=True), stderr=subprocess.DEVNULL
    )
    until(lambda: world.status("shared"), "Helm has begun")
    # Its values are not those that are wanted now, so Helm sees by itself that there is something to do.
    assert world.look("shared", values={"word": "two"}, timeout=300) == 0
    assert process.wait() != 0
    assert world.status("shared") == "failed"


def test_a_release_that_failed_is_taken_up_again_with_the_same_values(world: World) -> None:
    values: dict[str, Any] = {"word": "one", "hangs": True}
    failed = subprocess.run(world.upgrade("failed", timeout="1s", **values), capture_output=True, check=False)
    assert failed.returncode != 0
    assert world.look("failed", values={"word": "two"}) == 0
    assert world.look("failed", values=values, chart="acme-2.0.0") == 0
    assert world.status("failed") == "failed"
    assert world.look("failed", values=values, chart=CHART) == 1
    assert world.status("failed") == ""


def test_one_that_was_cut_off_on_its_way_to_other_values_is_not_guessed_at(world: World) -> None:
    subprocess.run(world.upgrade("halfway", word="one"), capture_output=True, check=True)
    killed(world, "halfway", word="two", hangs=True)
    with pytest.raises(AssertionError, match="helm rollback halfway"):
        world.look("halfway", values={"word": "one"})
    assert world.status("halfway") == "pending-upgrade"
    assert world.look("halfway", values={"word": "two", "hangs": True}) == 1
    assert world.status("halfway") == "deployed"


def test_a_release_that_is_well_and_one_that_is_not_there_are_left_alone(world: World) -> None:
    subprocess.run(world.upgrade("well", word="one"), capture_output=True, check=True)
    assert world.look("well", values={"word": "one"}) == 0
    assert world.status("well") == "deployed"
    assert world.look("nowhere", values={}) == 0
