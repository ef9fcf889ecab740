# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for an AWS account, an EKS cluster and the managed stores, on the loopback addresses of a Linux machine."""
