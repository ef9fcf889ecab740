# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for what brings the tables and the rows to a replica that is added: statements over the HTTP interface.

The operator makes the tables, and Keeper's replication fetches the rows. Here both are done by statements.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
from collections.abc import Mapping
from typing import Any

from sandbox import network, state
from sandbox.stores.clickhouse_config import COPIER, HTTP_PORT, OTHERS

# Filling a table may take a while; everything else answers at once.
QUERY_SECONDS, COPY_SECONDS = 10.0, 300.0
OURS = "('system', 'INFORMATION_SCHEMA', 'information_schema')"
log = logging.getLogger(__name__)


class Tables:
    """Makes a server equal to its peers."""

    def equal(self, name: str, address: str, peers: Mapping[str, str], login: tuple[str, str]) -> bool:
        """Make the tables of the peers on a server and fill them; False while a peer does not know it yet.

        `peers` are names and addresses in the VPC. Raises OSError when a server does not answer or refuses.
        """
        wanted = f"SELECT * FROM system.tables WHERE database NOT IN {OURS}"  # noqa: S608
        known = {peer: _rows(other, login, wanted) for peer, other in peers.items()}
        source = next((peer for peer, tables in known.items() if tables), None)
        if source is None:
            return True
        knows = f"SELECT count() AS n FROM system.clusters WHERE cluster = '{OTHERS}' AND host_name = '{name}'"  # noqa: S608
        if any(int(_rows(other, login, knows)[0]["n"]) == 0 for other in peers.values()):
            return False
        self._copy(name, address, source, known[source], login)
        return True

    def _copy(self, name: str, address: str, source: str, tables: list[dict[str, Any]], login: tuple[str, str]) -> None:
        for database in sorted({table["database"] for table in tables}):
            _ask(address, login, f"CREATE DATABASE IF NOT EXISTS `{database}`")
        stored = [table for table in tables if table["engine"].endswith("MergeTree")]
        for table in stored:
            self._fill(address, source, table, login)
        # What hands on new rows comes last, as the rows that were copied are nobody's news.
        rest = [table for table in tables if table not in stored]
        for table in sorted(rest, key=lambda item: item["engine"] == "MaterializedView"):
            _ask(address, login, _if_missing(table["create_table_query"]))
        log.info("%s has the tables of %s: %d", name, source, len(tables))

    def _fill(self, address: str, source: str, table: dict[str, Any], login: tuple[str, str]) -> None:
        _ask(address, login, _if_missing(table["create_table_query"]))
        password = state.read_json("clickhouse.json", {}).get("copier", "")
        where = f"`{table['database']}`.`{table['name']}`"
        if int(_rows(address, login, f"SELECT count() AS n FROM {where}")[0]["n"]) == 0:  # noqa: S608
            beyond = f"remote('{source}', {where}, '{COPIER}', '{password}')"
            _ask(address, login, f"INSERT INTO {where} SELECT * FROM {beyond}", COPY_SECONDS)  # noqa: S608


def _if_missing(statement: str) -> str:
    for kind in ("MATERIALIZED VIEW", "VIEW", "TABLE", "DICTIONARY"):
        if statement.startswith(f"CREATE {kind} "):
            return statement.replace(f"CREATE {kind} ", f"CREATE {kind} IF NOT EXISTS ", 1)
    return statement


def _rows(address: str, login: tuple[str, str], statement: str) -> list[dict[str, Any]]:
    data = _ask(address, login, f"{statement} FORMAT JSONEachRow")
    return [json.loads(line) for line in data.splitlines() if line]


def _ask(address: str, login: tuple[str, str], statement: str, seconds: float = QUERY_SECONDS) -> str:
    connection = http.client.HTTPConnection(network.loopback(address), HTTP_PORT, timeout=seconds)
    known = base64.b64encode(":".join(login).encode()).decode()
    try:
        connection.request("POST", "/", statement.encode(), {"Authorization": f"Basic {known}"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(f"{address}: {error!r}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"{address} answered {answer.status}: {text[:300]}")
    return text
