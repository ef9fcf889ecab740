# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs all stand-ins of in-cluster controllers in one process, a thread each."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sandbox import state
from sandbox.controllers.aws import Account
from sandbox.controllers.clickhouse_operator import ClickHouseOperator
from sandbox.controllers.ebs_csi import EbsCsi
from sandbox.controllers.external_secrets import ExternalSecrets
from sandbox.controllers.kubernetes import Cluster
from sandbox.controllers.load_balancer import LoadBalancerController
from sandbox.controllers.load_balancer_mirror import Mirror
from sandbox.controllers.metrics import Metrics

ENDPOINTS_SECONDS = 60
log = logging.getLogger("sandbox.controllers")


def endpoints() -> dict[str, Any]:
    """What start wrote to endpoints.json, waited for as this process may be there first."""
    deadline = time.monotonic() + ENDPOINTS_SECONDS
    while time.monotonic() < deadline:
        found = state.read_json("endpoints.json", {})
        if "aws" in found and Path(found.get("kubernetes", {}).get("admin_kubeconfig", "/none")).exists():
            return dict(found)
        time.sleep(0.2)
    sys.exit(f"no endpoints of AWS and Kubernetes in {state.root()}/endpoints.json; run 'python -m sandbox start'")


def main() -> None:
    """Start the threads and wait for SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(threadName)s %(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    (state.root() / "run" / "controllers.ready").unlink(missing_ok=True)
    found = endpoints()
    cluster = Cluster(Path(found["kubernetes"]["admin_kubeconfig"]))
    account = Account(found["aws"]["endpoint_url"], cluster)
    mirror = Mirror(found["aws"])
    controllers = [
        ExternalSecrets(cluster, account),
        LoadBalancerController(cluster, account, mirror.wake),
        EbsCsi(cluster, account),
        ClickHouseOperator(cluster, account),
        Metrics(cluster, account),
    ]
    threading.Thread(target=mirror.run, name="load-balancer-mirror", daemon=True).start()
    for controller in controllers:
        threading.Thread(target=controller.run, name=controller.name, daemon=True).start()
    # How `python -m sandbox status` learns that a part without a port is up.
    state.write_text(state.root() / "run" / "controllers.ready", "")
    log.info("running: %s", ", ".join(controller.name for controller in controllers))
    threading.Event().wait()


if __name__ == "__main__":
    main()
