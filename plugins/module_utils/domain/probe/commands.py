# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that decide between the layers which the probe's own evidence leaves open."""

from __future__ import annotations

from shlex import quote
from urllib.parse import urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import inside


def queue(place: Place) -> str:
    """The queues' counters: tasks that wait for a worker, that are in hand, that are tried again."""
    service = f"service/{place.fullname}-platform-backend"
    return _metrics(place, service, inside.PLATFORM_BACKEND_PORT, inside.COUNTERS)


def worker_times(place: Place) -> str:
    """How long runs waited for a worker, and the worker for ClickHouse."""
    workers = f"deployment/{place.fullname}-ingest-queue"
    return _metrics(place, workers, inside.INGEST_QUEUE_PORT, "/metrics", " | grep latency_seconds")


def stored(place: Place, run_id: str) -> str:
    """Whether ClickHouse has a run, and since when: a row says that the fault is in reading, none that it is before."""
    return _clickhouse(place, "inserted_at, trace_first_received_at", f"runs where id = '{run_id}'")


def replicas(place: Place) -> str:
    """How far each replica is behind; where none is, ClickHouse's own write is slow."""
    cluster = place.clickhouse.cluster
    table = f"clusterAllReplicas('{cluster}', system.replicas)" if cluster else "system.replicas"
    return _clickhouse(place, "hostName(), table, absolute_delay, queue_size, is_readonly", table)


def clickhouse_log(place: Place) -> str:
    """The last that ClickHouse said; of one outside the cluster, what it is busy with, or why it does not answer."""
    if place.clickhouse.service:
        return place.kubectl(f"logs service/{place.clickhouse.service} --tail=100")
    return _clickhouse(place, "elapsed, memory_usage, query", "system.processes order by elapsed desc")


def blocked(place: Place) -> str:
    """The requests of the last three hours, as far as they are kept, that rules of web ACLs blocked for this name."""
    acls = "aws wafv2 list-web-acls --scope REGIONAL --query 'WebACLs[].[Name,Id,ARN]' --output text"
    rules = (
        "aws wafv2 get-web-acl --scope REGIONAL --name $name --id $id"
        " --query 'WebACL.Rules[].VisibilityConfig.MetricName' --output text"
    )
    # An earlier start is taken for three hours ago.
    samples = (
        "aws wafv2 get-sampled-requests --scope REGIONAL --web-acl-arn $acl --rule-metric-name $rule"
        " --time-window StartTime=0,EndTime=$(date +%s) --max-items 500 --output text --query"
        f" \"SampledRequests[?Action=='BLOCK' && Request.Headers[?starts_with(Value, '{place.host}')]]"
        ".['$rule', RuleNameWithinRuleGroup, Timestamp, Request.Method, Request.URI]\""
    )
    return f"{acls} | while read name id acl; do for rule in $({rules}); do {samples}; done; done"


def connecting(place: Place) -> str:
    """The seconds until the name is resolved, the connection is there, the handshake is over."""
    times = "name %{time_namelookup} connection %{time_connect} handshake %{time_appconnect}\\n"
    return f"curl -sS -o /dev/null -w '{times}' {place.url}/health"


def reaches(address: str) -> str:
    """How far a connection from this machine to the origin of an address gets."""
    parts = urlsplit(address)
    # The address is a server's, and the command is for a shell.
    return f"curl -sv -o /dev/null {quote(f'{parts.scheme}://{parts.netloc}/')}"


def worker_log(place: Place, run_id: str) -> str:
    """What the workers say of a run."""
    pods = f"app.kubernetes.io/component={place.fullname}-ingest-queue"
    return place.kubectl(f"logs -l {pods} --prefix --since=1h --tail=-1 | grep {run_id}")


def _clickhouse(place: Place, columns: str, table: str) -> str:
    """Ask as LangSmith does. User and password go from the Secret to curl's standard input, and on no command line."""
    inside = place.clickhouse.service
    url = f'url = "{_INSIDE if inside else _OUTSIDE}/?database={_DATABASE}"'
    login = f'user = "{_USER}:{_PASSWORD}"'
    template = url + '{{"\\n"}}' + login
    secret = place.kubectl(f"get secret {place.clickhouse.secret} -o go-template='{template}'")
    ask = f'{secret} | curl -sS -K - --data-binary "select {columns} from {table}"'  # noqa: S608 - of the probe's own
    return f"{_forward(place, f'service/{inside}', _PORT)}; {ask}; kill $!" if inside else ask


_HOST, _OTHER_PORT, _DATABASE, _USER, _PASSWORD = (
    f"{{{{.data.clickhouse_{key} | base64decode}}}}" for key in ("host", "port", "db", "user", "password")
)
_PORT = 8123
_INSIDE = f"http://127.0.0.1:{_PORT}"
_OUTSIDE = f'http{{{{if eq (.data.clickhouse_tls | base64decode) "true"}}}}s{{{{end}}}}://{_HOST}:{_OTHER_PORT}'


def _metrics(place: Place, what: str, port: int, path: str, chosen: str = "") -> str:
    return f"{_forward(place, what, port)}; curl -s 'http://127.0.0.1:{port}{path}'{chosen}; kill $!"


def _forward(place: Place, what: str, port: int) -> str:
    """A way to a port from this machine, and a wait until something answers at its end, 15 s at most."""
    wait = f"curl -s -o /dev/null --retry 15 --retry-delay 1 --retry-connrefused http://127.0.0.1:{port}/"
    return f"{place.kubectl(f'port-forward {what} {port}')} & {wait}"
