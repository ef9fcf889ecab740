# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret_sync import Condition, Copy, compare, digest

MEANT = {"a": digest(b"v-eins"), "b": digest(b"v-zwei")}
READY = Condition(True, "SecretSynced", "")


@pytest.mark.parametrize(
    ("meant", "copy", "said"),
    [
        (MEANT, Copy(dict(MEANT), READY), None),
        (MEANT, Copy({**MEANT, "more": "x"}, None), None),
        ({"a": MEANT["a"]}, Copy(dict(MEANT), READY), "Secrets Manager holds no b"),
        (MEANT, Copy(None, Condition(False, "SecretSyncedError", "AccessDenied")), "SecretSyncedError AccessDenied"),
        (MEANT, Copy(None, None), "not in the namespace"),
        (MEANT, Copy({**MEANT, "b": digest(b"v-alt")}, READY), "other values than Secrets Manager for b"),
        (MEANT, Copy({"a": MEANT["a"]}, READY), "other values than Secrets Manager for b"),
    ],
)
def test_a_secret_is_synced_only_when_every_key_is_equal(meant: dict[str, str], copy: Copy, said: str | None) -> None:
    finding = compare("langsmith-x", ["a", "b"], meant, copy)
    assert finding.status == ("pass" if said is None else "fail")
    assert said is None or said in finding.observed


def test_a_finding_tells_neither_value_nor_hash() -> None:
    told = str(compare("langsmith-x", ["a", "b"], MEANT, Copy({**MEANT, "b": digest(b"v-alt")}, READY)).to_dict())
    assert not any(secret in told for secret in ("v-eins", "v-zwei", "v-alt", *MEANT.values()))
