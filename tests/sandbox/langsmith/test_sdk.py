# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unmodified LangSmith SDK as the judge of the stand-in, through the frontend's port."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import connect
from ansible_collections.langsmith.aws.plugins.module_utils.clients.trace_probe import probe
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import (
    Endpoint,
    key_headers,
    parse_endpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import documents
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import seconds_between
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.outcome import Settings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.trace import payload_hash
from langsmith import Client, schemas, traceable, tracing_context
from langsmith.utils import LangSmithAuthError, LangSmithConflictError, LangSmithNotFoundError, get_env_var

from tests.sandbox.langsmith.installation import DEADLINE_SECONDS, Installation, until


@pytest.fixture
def hermetic(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    """No setting of the machine reaches the client."""
    for name in list(os.environ):
        if name.startswith(("LANGSMITH_", "LANGCHAIN_")) and not name.startswith("LANGSMITH_SANDBOX_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LANGSMITH_CONFIG_FILE", str(tmp_path / "none.json"))
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    # The SDK remembers what it once read of the environment.
    get_env_var.cache_clear()
    yield
    get_env_var.cache_clear()


@pytest.fixture(params=["plain", "zstd"])
def client(
    request: pytest.FixtureRequest,
    langsmith: Installation,
    api_key: str,
    hermetic: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Client]:
    """A client that sends multipart bodies as they are, or compressed."""
    if request.param == "plain":
        monkeypatch.setenv("LANGSMITH_DISABLE_RUN_COMPRESSION", "true")
    failures: list[Exception] = []
    found = Client(
        api_url=f"http://127.0.0.1:{langsmith.ports['frontend']}/api/v1",
        api_key=api_key,
        tracing_error_callback=failures.append,
    )
    yield found
    found.cleanup()
    assert failures == []


def _project() -> str:
    return f"project-{uuid.uuid4()}"


def _trace(client: Client, project: str, **inputs: Any) -> schemas.Run:
    @traceable(run_type="llm", name="inner")
    def inner(question: str) -> dict[str, Any]:
        return {"answer": question.upper(), "usage_metadata": {"input_tokens": 3, "output_tokens": 4}}

    @traceable(name="outer", tags=["probe"], metadata={"colour": "blue"})
    def outer(question: str, **_: Any) -> dict[str, Any]:
        return {"final": inner(question)["answer"]}

    run_id = uuid.uuid4()
    with tracing_context(client=client, project_name=project, enabled=True):
        outer("ping", langsmith_extra={"run_id": run_id}, **inputs)
    client.flush()
    return finished(client, run_id)


def finished(client: Client, run_id: uuid.UUID) -> schemas.Run:
    """A run once its end is stored."""

    def look() -> schemas.Run | None:
        try:
            run = client.read_run(run_id)
        except LangSmithNotFoundError:
            return None
        return run if run.end_time else None

    found: schemas.Run = until(look, f"run {run_id} is complete")
    return found


def test_a_nested_trace_is_read_back_with_its_child(client: Client) -> None:
    root = _trace(client, _project())
    loaded = until(
        lambda: (run := client.read_run(root.id, load_child_runs=True)) and run.child_runs and run, "child is stored"
    )
    child = loaded.child_runs[0]
    assert (client.compressed_traces is None) == ("LANGSMITH_DISABLE_RUN_COMPRESSION" in os.environ)
    assert (root.name, root.status, root.outputs) == ("outer", "success", {"final": "PING"})
    assert root.inputs["question"] == "ping"
    assert root.tags == ["probe"]
    assert root.extra is not None
    assert root.extra["metadata"]["colour"] == "blue"
    assert (child.name, child.run_type, child.parent_run_id, child.trace_id) == ("inner", "llm", root.id, root.id)
    assert child.total_tokens == 7


def test_runs_of_a_project_are_listed_newest_first_and_paged(client: Client) -> None:
    project = _project()
    made = [_trace(client, project).id for _ in range(3)]
    roots = list(client.list_runs(project_name=project, is_root=True))
    assert [run.id for run in roots] == list(reversed(made))
    assert until(lambda: len(list(client.list_runs(project_name=project))) == 6, "children are stored")
    assert len(list(client.list_runs(project_name=project, limit=4))) == 4
    assert {run.name for run in client.list_runs(project_name=project, filter='eq(run_type, "llm")')} == {"inner"}


def test_a_failing_function_leaves_a_run_with_its_error(client: Client) -> None:
    @traceable(name="broken")
    def broken() -> None:
        raise ValueError("no such luck")

    run_id = uuid.uuid4()
    with tracing_context(client=client, project_name=_project(), enabled=True), pytest.raises(ValueError, match="luck"):
        broken(langsmith_extra={"run_id": run_id})
    client.flush()
    run = finished(client, run_id)
    assert run.status == "error"
    assert "no such luck" in str(run.error)


def test_feedback_on_a_traced_run_is_listed_and_counted(client: Client) -> None:
    run = _trace(client, _project())
    client.create_feedback(run.id, key="helpful", score=0.5, comment="well", trace_id=run.trace_id)
    client.flush()
    found = until(lambda: list(client.list_feedback(run_ids=[run.id])), "feedback is stored")
    assert (found[0].key, found[0].score, found[0].comment) == ("helpful", 0.5, "well")
    stats = client.read_run(run.id).feedback_stats
    assert stats is not None
    assert stats["helpful"]["avg"] == 0.5


def test_feedback_without_a_trace_goes_by_its_own_call(client: Client) -> None:
    run = _trace(client, _project())
    made = client.create_feedback(run.id, key="right", value="yes")
    found = until(lambda: list(client.list_feedback(run_ids=[run.id], feedback_key=["right"])), "feedback is stored")
    assert found[0].id == made.id
    client.update_feedback(made.id, comment="later")
    assert client.read_feedback(made.id).comment == "later"
    client.delete_feedback(made.id)
    assert list(client.list_feedback(run_ids=[run.id])) == []


def test_a_project_is_made_once_changed_and_deleted(client: Client) -> None:
    name = _project()
    made = client.create_project(name, description="first")
    with pytest.raises(LangSmithConflictError):
        client.create_project(name)
    assert client.create_project(name, upsert=True).id == made.id
    client.update_project(made.id, description="second")
    assert client.read_project(project_name=name).description == "second"
    assert name in {project.name for project in client.list_projects(name_contains=name)}
    client.delete_project(project_name=name)
    assert not client.has_project(name)


def test_an_attachment_comes_back_through_blob_storage(client: Client, bucket: Any) -> None:
    run_id, data = uuid.uuid4(), os.urandom(3000)

    @traceable(name="with attachment", dangerously_allow_filesystem=False)
    def show(picture: schemas.Attachment) -> str:
        return picture.mime_type

    with tracing_context(client=client, project_name=_project(), enabled=True):
        show(schemas.Attachment(mime_type="image/png", data=data), langsmith_extra={"run_id": run_id})
    client.flush()
    run = finished(client, run_id)
    assert run.attachments["picture"]["reader"].read() == data
    assert run.attachments["picture"]["mime_type"] == "image/png"
    assert any(str(run_id) in found.key and found.key.startswith("ttl_s/") for found in bucket.objects.all())


def test_a_payload_over_20_kb_lies_in_the_bucket_and_reads_as_any_other(client: Client, bucket: Any) -> None:
    text = os.urandom(30_000).hex()
    run = _trace(client, _project(), text=text)
    assert run.inputs["text"] == text
    stored = [found for found in bucket.objects.all() if str(run.id) in found.key]
    assert any("/inputs/" in found.key and found.size > 60_000 for found in stored)
    assert not any("/outputs/" in found.key for found in stored)


def test_an_unknown_run_and_an_unknown_project_are_not_found(client: Client) -> None:
    with pytest.raises(LangSmithNotFoundError):
        client.read_run(uuid.uuid4())
    with pytest.raises(LangSmithNotFoundError):
        client.read_project(project_id=uuid.uuid4())


def test_a_wrong_key_is_refused(langsmith: Installation, hermetic: None) -> None:
    stranger = Client(
        api_url=f"http://127.0.0.1:{langsmith.ports['frontend']}/api/v1", api_key="lsv2_pt_wrong", info={}
    )
    with pytest.raises(LangSmithAuthError, match="401"):
        stranger.create_project(_project())


def test_runs_created_and_updated_one_by_one_are_stored(client: Client) -> None:
    run_id = uuid.uuid4()
    client.create_run("single", {"question": "ping"}, "chain", id=run_id, project_name=_project())
    client.update_run(run_id, outputs={"answer": "pong"}, end_time=datetime.now(UTC))
    run = finished(client, run_id)
    assert (run.inputs, run.outputs) == ({"question": "ping"}, {"answer": "pong"})


def _collection(langsmith: Installation, api_key: str) -> tuple[Endpoint, dict[str, str]]:
    return parse_endpoint(f"http://127.0.0.1:{langsmith.ports['frontend']}"), key_headers(api_key)


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_what_the_probe_sends_the_sdk_reads(
    client: Client, langsmith: Installation, api_key: str, compression: str
) -> None:
    settings = Settings(keep=True, feedback=True, compression=compression, wait_sleep=0.1)
    outcome = probe(*_collection(langsmith, api_key), {}, settings)
    sent = {str(run.role): run for run in outcome.evidence.runs}
    root = client.read_run(outcome.run_id, load_child_runs=True)
    large = client.read_run(sent["large"].run_id)
    assert root.child_runs is not None
    read = {"root": root, "child": root.child_runs[0], "large": large}
    for role, run in read.items():
        assert (str(run.id), run.status, run.error) == (sent[role].run_id, "success", None)
        assert payload_hash(run.inputs) == sent[role].inputs_hash
        assert payload_hash(run.outputs) == sent[role].outputs_hash
    assert root.child_runs[0].parent_run_id == root.id
    attachment = large.attachments["probe"]["reader"].read()
    assert hashlib.sha256(attachment).hexdigest() == sent["large"].attachment_hash
    assert [found.score for found in client.list_feedback(run_ids=[root.id])] == [1.0]
    client.delete_project(project_name=outcome.project["name"])


def test_what_the_sdk_sends_the_probe_reads(client: Client, langsmith: Installation, api_key: str) -> None:
    root = _trace(client, _project(), text=os.urandom(30_000).hex())
    endpoint, headers = _collection(langsmith, api_key)
    api = connect(endpoint, headers, {})
    listed = documents.runs_by_id(api.query_runs("read", str(root.session_id), ids=[str(root.id)]).document)
    assert seconds_between(
        listed[str(root.id)]["trace_first_received_at"], listed[str(root.id)]["inserted_at"]
    ) == pytest.approx(0, abs=DEADLINE_SECONDS)
    fetched = api.run("fetch_root", str(root.id)).document
    assert payload_hash(fetched["inputs"]) == payload_hash(root.inputs)
    assert payload_hash(fetched["outputs"]) == payload_hash(root.outputs)
