# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets Manager: one function per call. No message made here holds a value."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import AwsCallError, call
from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret import (
    Actual,
    SecretConflictError,
    SecretError,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import from_pairs, to_pairs

NOT_FOUND = "ResourceNotFoundException"
EXISTS = "ResourceExistsException"


def describe(client: Any, name: str) -> Actual | None:
    """The secret without its values; None when there is none. Raises ProjectError."""
    try:
        found = call(client, "describe_secret", SecretId=name)
    except AwsCallError as error:
        if error.code == NOT_FOUND:
            return None
        raise
    stages = found.get("VersionIdsToStages") or {}
    deleted = found.get("DeletedDate")
    return Actual(
        name=found.get("Name", name),
        arn=found["ARN"],
        version_id=next((version for version, labels in stages.items() if "AWSCURRENT" in labels), None),
        description=found.get("Description") or "",
        kms_key_id=found.get("KmsKeyId") or "",
        tags=from_pairs(found.get("Tags")),
        deleted_on=str(deleted) if deleted else None,
    )


def read(client: Any, name: str) -> Actual | None:
    """The secret with its values, which stay None while it is scheduled for deletion. Raises ProjectError."""
    actual = describe(client, name)
    if actual is None or actual.deleted_on is not None:
        return actual
    try:
        answer = call(client, "get_secret_value", SecretId=name)
    except AwsCallError as error:
        if error.code != NOT_FOUND:
            raise
        return Actual(**{**vars(actual), "values": {}})
    return Actual(**{**vars(actual), "version_id": answer["VersionId"], "values": _parsed(name, answer)})


def _parsed(name: str, answer: Mapping[str, Any]) -> dict[str, str]:
    try:
        # The decoder's error holds what it read, so it is not chained into a traceback.
        content = json.loads(answer.get("SecretString", ""))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise SecretError(
            f"secret {name} is not a JSON object of keys and values; store it as one or take another name"
        )
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in content.items()}


def read_value(client: Any, name: str, key: str | None = None) -> str:
    """One value: that of ``key``, or the whole SecretString when ``key`` is None. Raises ProjectError, never empty."""
    try:
        answer = call(client, "get_secret_value", SecretId=name)
    except AwsCallError as error:
        if error.code == NOT_FOUND:
            where = f"region {client.meta.region_name} of this account"
            raise SecretError(f"secret {name} is not in {where}; create it or correct the name") from error
        raise
    if key is None:
        value = answer.get("SecretString", "")
        place = f"secret {name}"
    else:
        values = _parsed(name, answer)
        if key not in values:
            raise SecretError(f"secret {name} has no key {key} (it has: {', '.join(sorted(values)) or 'none'})")
        value, place = values[key], f"secret {name}: key {key}"
    if not value:
        raise SecretError(f"{place} is empty; store a value")
    return value


def _write(client: Any, method: str, **arguments: Any) -> None:
    try:
        call(client, method, **arguments)
    except AwsCallError as error:
        if error.code == EXISTS:
            raise SecretConflictError(str(error)) from error
        raise


def _stored(values: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(values.items())))


class SecretsManager:
    """The account's Secrets Manager in one region, for who writes; each method is one call."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def describe(self, name: str) -> Actual | None:
        """The secret without its values; None when there is none. Raises ProjectError."""
        return describe(self.client, name)

    def read(self, name: str) -> Actual | None:
        """The secret with its values, which stay None while it is scheduled for deletion. Raises ProjectError."""
        return read(self.client, name)

    def read_value(self, name: str, key: str | None = None) -> str:
        """One value, as :func:`read_value` does. Raises ProjectError, never empty."""
        return read_value(self.client, name, key)

    def create(self, name: str, values: Mapping[str, str], **attributes: Any) -> None:
        """Create the secret; ``attributes``: description, kms_key_id, tags. SecretConflictError when it exists."""
        options: dict[str, Any] = {"Name": name, "SecretString": _stored(values)}
        if attributes.get("description"):
            options["Description"] = attributes["description"]
        if attributes.get("kms_key_id"):
            options["KmsKeyId"] = attributes["kms_key_id"]
        if attributes.get("tags"):
            options["Tags"] = to_pairs(attributes["tags"])
        _write(self.client, "create_secret", **options)

    def put(self, actual: Actual, values: Mapping[str, str], stale_token: bool = False) -> None:
        """Store ``values`` as the version that follows the one read.

        The version's id is derived from its predecessor's, and Secrets Manager refuses to change a version: so of two
        runs that read the same version one gets SecretConflictError instead of overwriting the other's generated
        values. ``stale_token`` takes a random id, for a secret that was moved back to an older version by hand.
        """
        token = uuid.uuid4() if stale_token else uuid.uuid5(uuid.NAMESPACE_URL, f"{actual.arn}#{actual.version_id}")
        _write(
            self.client,
            "put_secret_value",
            SecretId=actual.arn,
            ClientRequestToken=str(token),
            SecretString=_stored(values),
        )

    def update(self, actual: Actual, attributes: Mapping[str, str]) -> None:
        """Set description and kms_key_id, whichever are given."""
        names = {"description": "Description", "kms_key_id": "KmsKeyId"}
        call(
            self.client,
            "update_secret",
            SecretId=actual.arn,
            **{names[key]: value for key, value in attributes.items()},
        )

    def restore(self, actual: Actual) -> None:
        """Take back the deletion that the secret is scheduled for."""
        call(self.client, "restore_secret", SecretId=actual.arn)

    def tag(self, actual: Actual, tags: Mapping[str, str]) -> None:
        """Set the given tags."""
        call(self.client, "tag_resource", SecretId=actual.arn, Tags=to_pairs(tags))

    def untag(self, actual: Actual, names: tuple[str, ...]) -> None:
        """Remove the tags of these names."""
        call(self.client, "untag_resource", SecretId=actual.arn, TagKeys=list(names))

    def delete(self, actual: Actual, window_days: int | None) -> None:
        """Schedule the deletion in ``window_days`` days, or delete at once when None."""
        how: dict[str, Any] = (
            {"RecoveryWindowInDays": window_days} if window_days else {"ForceDeleteWithoutRecovery": True}
        )
        call(self.client, "delete_secret", SecretId=actual.arn, **how)
