# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.sandbox.aws.account import ISSUER, REPOSITORY, Account
from tests.sandbox.aws.kubernetes_stand_in import ApiServer

# What the developer's shell says about AWS is neither for these clients nor for moto, which looks when it is imported.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    state = tmp_path_factory.mktemp("aws")
    running = Account(state, ApiServer(ISSUER))
    running.kubernetes.write_files(state)
    running.start()
    yield running
    running.stop()
    stop = "from sandbox import supervisor; [supervisor.stop(part.name) for part in supervisor.running()]"
    environment = {**os.environ, "LANGSMITH_SANDBOX_STATE": str(state)}
    subprocess.run([sys.executable, "-c", stop], cwd=REPOSITORY, env=environment, check=True)
