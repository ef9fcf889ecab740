# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sandbox.stores import clickhouse_config


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ("<a><b>2</b></a>", {"a/b": ["2"], "a/c": ["1"]}),
        ("<a replace='1'><b>2</b></a>", {"a/b": ["2"], "a/c": []}),
        ("<a remove='1'/>", {"a": []}),
        ("<a><c remove='1'/></a>", {"a/b": ["1"], "a/c": []}),
        ("<d>3</d><d>4</d>", {"d": ["3", "4"]}),
        ("<a><b from_env='X'/></a>", {"a/b": [None]}),
    ],
)
def test_files_are_laid_over_each_other_as_the_server_does(over: str, expected: dict[str, list[str]]) -> None:
    base = "<clickhouse><a><b>1</b><c>1</c></a><d>1</d></clickhouse>"
    root = clickhouse_config.merged(base, [f"<yandex>{over}</yandex>"])
    for path, texts in expected.items():
        found = root.findall(path)
        assert [item.text if not len(item) else "" for item in found] == texts


def test_folders_and_single_files_are_found_and_their_paths_are_those_of_this_machine(tmp_path: Path) -> None:
    folder, single = tmp_path / "map", tmp_path / "single"
    folder.mkdir()
    (folder / "b.xml").write_text("<clickhouse><path>/var/lib/clickhouse/x</path></clickhouse>")
    (folder / "readme.txt").write_text("no")
    single.with_suffix(".xml").write_text("<clickhouse/>")
    volumes = {
        "/etc/clickhouse-server/config.d/": str(folder),
        "/etc/clickhouse-server/config.d/a.xml": str(single.with_suffix(".xml")),
        "/etc/clickhouse-server/users.d/u.xml": str(single.with_suffix(".xml")),
        "/var/lib/clickhouse": "/data",
    }
    found = clickhouse_config.mounted(volumes, "config.d")
    assert sorted(found) == ["a.xml", "b.xml"]
    assert found["b.xml"] == "<clickhouse><path>/data/x</path></clickhouse>"


def test_a_server_does_not_try_what_the_engine_cannot_do(tmp_path: Path) -> None:
    place = clickhouse_config.Place("127.0.0.9", tmp_path, tmp_path / "users.xml", "a", 1, "word")
    given = (
        "<clickhouse><listen_host>::</listen_host><zookeeper><node/></zookeeper><prometheus/><trace_log/>"
        "<max_server_memory_usage>64000000000</max_server_memory_usage></clickhouse>"
    )
    root = ET.fromstring(clickhouse_config.server([given], False, place))  # noqa: S314 - of ours
    assert [item.text for item in root.findall("listen_host")] == ["127.0.0.9"]
    assert [root.find(name) for name in ("zookeeper", "prometheus", "trace_log")] == [None] * 3
    assert root.findtext("max_server_memory_usage") == str(clickhouse_config.MEMORY_BYTES)
