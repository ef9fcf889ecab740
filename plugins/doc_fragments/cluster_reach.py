# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in module_utils/shell/cluster_reach.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Kubeconfig whose current context is the cluster, to reach Services and pods by their names inside of it.
      - Its user needs C(get) of C(services), C(list) of C(pods), and C(get) and C(create) of C(pods/portforward) in
        the namespace.
    type: path
  namespace:
    description: Namespace of LangSmith in the cluster, in which names without a namespace are looked for.
    type: str
    default: langsmith
requirements:
  - kubernetes, where O(kubeconfig) is given
"""
