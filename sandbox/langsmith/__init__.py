# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for LangSmith's container images: the same processes, ports, environment and stores as the chart gives them.

The write path is the real one in shape: platform-backend -> Redis -> ingest-queue -> ClickHouse and S3; projects, keys
and feedback live in Postgres. `python -m sandbox.langsmith` takes the command of the container as its arguments.
"""
