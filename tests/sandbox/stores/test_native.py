# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found in the file of a native library: that of ClickHouse, as it is the one that is changed."""

from __future__ import annotations

import pytest

from sandbox.stores import clickhouse, native

pytestmark = pytest.mark.skipif(not clickhouse.library_path().exists(), reason="ClickHouse has not been fetched")


def test_a_function_that_the_library_imports_is_found_and_no_other() -> None:
    with native.Image.of(clickhouse.library_path()) as image:
        assert image.imported("getaddrinfo")
        with pytest.raises(OSError, match="does not call no_such_function"):
            image.imported("no_such_function")


def test_virtual_functions_of_a_class_lie_beside_each_other_and_those_of_no_class_nowhere() -> None:
    with native.Image.of(clickhouse.library_path()) as image:
        first, second = image.virtual("KillingErrorHandler", (2, 3))
        assert second == first + 8
        with pytest.raises(OSError, match="no class NoSuchHandler"):
            image.virtual("NoSuchHandler", (2, 3))


def test_a_library_that_is_not_loaded_is_not_changed() -> None:
    with pytest.raises(OSError, match="is not loaded"):
        native.replace(clickhouse.library_path(), [8], native.C.getpid)
