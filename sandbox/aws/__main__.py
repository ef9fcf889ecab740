# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m sandbox.aws`."""

from __future__ import annotations

import os
import sys


def run() -> int:
    """Prepare what moto reads when it is imported, and serve."""
    # botocore would look at them: what a user's shell says about accounts is none of the emulator's business.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    from sandbox.aws.server import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
