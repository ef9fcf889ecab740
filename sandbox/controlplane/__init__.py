# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real etcd, Kubernetes control plane, kwok, helm and kubectl, built from source, and how they are started."""
