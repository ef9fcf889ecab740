# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in module_utils/shell/load.py."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment ``langsmith.aws.load``."""

    DOCUMENTATION = r"""
options:
  load:
    description:
      - Send a load instead of one trace, into a project of its own, and account for every run by its id.
      - What will be sent is told first, in check mode nothing else is done.
      - Each answer counts once, as nothing is sent again. Exactly one of O(load.rate), O(load.concurrency) and
        O(load.find_capacity) says how it is sent; O(load.find_capacity) takes O(load.rate) as the rate to begin with.
    type: dict
    suboptions:
      inventory:
        description: URLs of the installations that may be loaded. An endpoint that is not among them is refused.
        type: list
        elements: str
        required: true
      rate:
        description:
          - Traces per second, evenly spaced and sent whether or not those before them were accepted.
          - A trace that leaves late still counts from when it was due, and one that never leaves as later than all
            others. Those due within 0.1 s travel in one request.
          - A load that does not leave at its rate is no V(pass), be it that less than 95% of the traces leave or that
            they leave too late.
        type: float
      concurrency:
        description: Connections that each send full requests one after another, as quickly as they are accepted.
        type: int
      duration:
        description: Seconds of sending, of each step where O(load.find_capacity) is true.
        type: float
        default: 60
      ramp:
        description:
          - Seconds of the duration during which the rate, or the number of connections, rises from nothing.
          - A quarter of the duration at most where O(load.find_capacity) is true.
        type: float
        default: 0
      traces_max:
        description: Traces after which the load ends, whatever its duration; of all steps together.
        type: int
        default: 100000
      payload:
        description: Sizes of the runs' inputs. Without it they are 2 KiB. The content does not compress.
        type: list
        elements: dict
        suboptions:
          kib:
            description: KiB of the inputs of each run of a trace. From 20 on they go to blob storage.
            type: float
            required: true
          weight:
            description: How many traces have this size, beside the other sizes' weights.
            type: float
            default: 1
      runs_per_trace:
        description: Runs of each trace, a root and its children.
        type: int
        default: 5
      connections:
        description: Connections that send at a rate.
        type: int
        default: 16
      compression:
        description: Whether requests are compressed. V(zstd) needs the Python package C(zstandard) where the load runs.
        type: str
        choices: [none, zstd]
        default: none
      find_capacity:
        description:
          - Look for the highest rate that holds, doubling it and then closing in on it up to a tenth.
          - A rate holds where nothing is refused or lost, at least 95% of the traces leave in time, the p95 from due to
            visible is at most O(load.visible_p95), and that way grows by at most 0.1 s per second of sending.
          - A rate at which less than 5% are refused is tried once more, and counts by what comes then.
          - A search that O(load.traces_max), O(load.steps_max) or the sender's own limit ends before that is a V(warn),
            which says between which rates the capacity lies.
          - One share of a load cannot look for it, which is refused. Pods of the cluster do it together by the entry
            C(load) of the role C(langsmith.aws.verify), a Job for each rate.
        type: bool
        default: false
      steps_max:
        description: Rates that are tried at most.
        type: int
        default: 10
      visible_p95:
        description:
          - Seconds within which 95% of the traces have to be readable, counted from when they were due.
          - It is known by a sample of up to 1000 traces at a time, which does not depend on how long they take. How
            many were watched is told with it.
          - The default is the alarm threshold of the P0 production checklist for ingestion delay.
        type: float
        default: 60
      drain_timeout:
        description:
          - Seconds to wait after the sending until all that was accepted is visible.
          - Ids for which reading has no answer are asked for again for up to twice as long.
        type: float
        default: 300
      index:
        description: Which share of a load that several machines send together this is, from 0.
        type: int
        default: 0
      of:
        description:
          - Shares of the load. The rate and O(load.traces_max) are those of all shares together.
          - Those that begin to send further apart than a fifth of the duration are not one load, which fails.
        type: int
        default: 1
      seed:
        description:
          - What the runs' ids follow from, as V(load.plan.seed) of a result tells it. All shares need the same one.
          - Without it each load has ids of its own. A seed serves one load, as LangSmith refuses ids that it knows.
        type: str
"""
