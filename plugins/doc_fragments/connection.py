# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in module_utils/shell/connection.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  connect_to:
    description:
      - Where to connect instead of what the URL's name resolves to, as V(host:port).
      - The URL's name is still used for the TLS server name, the check of the certificate and the Host header.
    type: str
  ca_file:
    description: File of PEM certificates to trust instead of the system's authorities.
    type: path
  timeout:
    description: Seconds that one request with its answer may take, connecting included.
    type: float
    default: 30
  connect_timeout:
    description: Seconds that resolving the name, connecting and the TLS handshake may take together.
    type: float
    default: 10
notes:
  - Proxies that the environment names are not used.
"""
