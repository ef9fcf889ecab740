#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An RDS database whose password never leaves Secrets Manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_instance
short_description: Keep an Amazon RDS database instance
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Creates, changes and deletes an RDS instance. It is never publicly accessible, and its tags go to its snapshots.
  - The password of the first user is read from Secrets Manager inside the module, at creation only. It is in no
    option, result, diff or log.
  - What RDS cannot change in place is turned down before the first call, with the reason.

extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.tags
  - langsmith.aws.state_attributes
options:
  id:
    description: Identifier of the instance.
    type: str
    required: true
  engine:
    description: Database engine.
    type: str
    default: postgres
  engine_version:
    description: Its version. V("16") is satisfied by any 16.x. RDS's default at creation when not given.
    type: str
  instance_class:
    description: Instance class, such as V(db.m7g.large). Needed at creation.
    type: str
  allocated_storage_gib:
    description: Storage in GiB. Needed at creation. It only grows; what autoscaling added stays.
    type: int
  max_allocated_storage_gib:
    description: How far RDS may let the storage grow by itself, in GiB.
    type: int
  storage_type:
    description: Sort of storage.
    type: str
    choices: [gp3, gp2, io1, io2]
    default: gp3
  iops:
    description: Provisioned operations per second. With V(gp3) only from 400 GiB on, and then 12000 at least.
    type: int
  storage_throughput_mib_s:
    description: Provisioned throughput in MiB/s. With V(gp3) only from 400 GiB on, and then 500 at least.
    type: int
  storage_encrypted:
    description: Whether the storage is encrypted. Fixed at creation.
    type: bool
    default: true
  kms_key_id:
    description: Id, alias or ARN of the KMS key of the storage. Fixed at creation.
    type: str
  master_username:
    description: Name of the first user. Needed at creation.
    type: str
  password_secret:
    description: Where the password of the first user is. Needed and read at creation only.
    type: dict
    suboptions:
      name:
        description: Name or ARN of the secret.
        type: str
        required: true
      key:
        description: Its key.
        type: str
        default: password
  database_name:
    description: Name of the first database.
    type: str
  port:
    description: Port to listen on. The engine's usual one at creation when not given. Fixed afterwards.
    type: int
  subnet_group_name:
    description: DB subnet group. Needed at creation.
    type: str
  security_group_ids:
    description: Security groups, all of them.
    type: list
    elements: str
  parameter_group_name:
    description: DB parameter group.
    type: str
  multi_az:
    description: Whether a standby runs in another zone.
    type: bool
  backup_retention_days:
    description: How many days automated backups are kept. V(0) turns them off, and point-in-time recovery with them.
    type: int
  backup_window:
    description: When backups are made, in UTC, such as V(03:00-04:00).
    type: str
  maintenance_window:
    description: When maintenance is done, in UTC, such as V(sun:05:00-sun:06:00).
    type: str
  deletion_protection:
    description: Whether RDS refuses to delete the instance, and so does this module.
    type: bool
  allow_major_version_upgrade:
    description: Whether O(engine_version) may have another major number than the instance.
    type: bool
    default: false
  auto_minor_version_upgrade:
    description: Whether RDS may upgrade minor versions in the maintenance window.
    type: bool
    default: false
  enabled_log_exports:
    description: Logs that go to CloudWatch, all of them, such as V(postgresql).
    type: list
    elements: str
  apply_immediately:
    description: Whether changes are made at once, or in the maintenance window.
    type: bool
    default: true
  skip_final_snapshot:
    description: Whether O(state=absent) makes no last snapshot.
    type: bool
    default: false
  final_snapshot_id:
    description: Name of the last snapshot. Needed for O(state=absent) unless O(skip_final_snapshot=true).
    type: str
  delete_automated_backups:
    description: Whether O(state=absent) deletes the automated backups too.
    type: bool
    default: true
  state:
    description: Whether the instance is to be there.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Whether to wait until the instance is available with all changes made, or gone.
      - Without it the module ends as soon as AWS has accepted the last change.
      - Run it again with the same options to wait.
    type: bool
    default: true
  wait_timeout:
    description: How long to wait in all, in seconds.
    type: int
    default: 2400
  wait_sleep:
    description: How long to wait between two looks, in seconds.
    type: float
    default: 15
"""

EXAMPLES = r"""
- name: Start the database, and do other things meanwhile
  langsmith.aws.rds_instance:
    id: acme-dev-postgres
    engine_version: "16.9"
    instance_class: db.m7g.large
    allocated_storage_gib: 100
    max_allocated_storage_gib: 500
    master_username: langsmith
    password_secret:
      name: langsmith/acme-dev/postgres
      key: password
    database_name: langsmith
    subnet_group_name: acme-dev-postgres
    security_group_ids: [sg-0123456789abcdef0]
    backup_retention_days: 7
    deletion_protection: true
    wait: false
"""

RETURN = r"""
database:
  description: The instance. Null when it is not there. In check mode as it would be.
  returned: always
  type: dict
  contains:
    id:
      description: Its identifier.
      type: str
    arn:
      description: Its ARN.
      type: str
    status:
      description: RDS's word for where it stands.
      type: str
    host:
      description: Name to connect to, null until RDS gives one.
      type: str
    port:
      description: Port to connect to.
      type: int
    engine_version:
      description: Its version.
      type: str
    class:
      description: Its instance class.
      type: str
    pending:
      description: Changes that RDS has accepted but not yet made.
      type: list
      elements: str
    tags:
      description: Its tags.
      type: dict
differences:
  description: What was not as wanted, field by field; empty at creation and deletion.
  returned: always
  type: list
  elements: dict
  sample:
    - field: version
      wanted: "1.35"
      actual: "1.34"
waited_seconds:
  description: How long the module waited.
  returned: always
  type: float
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients import rds
from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws_secret import secret_value
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import Waiter
from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference, settings_dict
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import ABSENT, Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import rds_instance as domain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_options import (
    database_options,
    state_options,
    wait_options,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import Resource, Step, required, run


class DatabaseResource(Resource):
    """The instance as the common steps of a state module see it."""

    key = "database"

    def __init__(self, client: Any, options: dict[str, Any], secrets: Any) -> None:
        self.client, self.options, self.secrets, self.id = client, options, secrets, options["id"]
        self.settings = domain.DatabaseSettings.from_options(options)
        self.subject = f"RDS instance {self.id}"

    def read(self) -> domain.Database | None:
        return rds.describe_instance(self.client, self.id)

    def progress(self, actual: domain.Database) -> Progress:
        return domain.progress(actual)

    def differences(self, actual: domain.Database) -> list[Difference]:
        found = domain.differences(self.settings, actual, self.options["tags"], self.options["purge_tags"])
        upgrade = any(item.field == "engine_version" for item in found) and domain.major_upgrade(
            self.settings, actual.settings
        )
        if upgrade and not self.options["allow_major_version_upgrade"]:
            raise RefusedError(
                f"{self.subject} has engine version {actual.settings.engine_version}, "
                f"wanted {self.settings.engine_version}; take a snapshot and set "
                "allow_major_version_upgrade=true, or keep the major version."
            )
        return found

    def wanted(self) -> dict[str, Any]:
        needs = ("instance_class", "allocated_storage_gib", "master_username", "password_secret", "subnet_group_name")
        required(self.options, needs, self.subject)
        known = settings_dict(self.settings)
        known["class"] = known.pop("instance_class")
        return {"id": self.id, **known, "tags": self.options["tags"] or {}}

    def create(self) -> None:
        password = secret_value(self.secrets, self.options["password_secret"])
        rds.create_instance(self.client, self.id, self.settings, password, self.options["tags"])

    def updates(self, actual: domain.Database, differences: list[Difference]) -> list[Step]:
        changed = {item.field for item in differences}
        steps: list[Step] = []
        if "tags" in changed:
            steps.append(lambda: self._tag(actual))
        if changed - {"tags"}:
            steps.append(lambda: self._modify(actual, changed))
        return steps

    def _tag(self, actual: domain.Database) -> None:
        change = tag_change(self.options["tags"], actual.tags, self.options["purge_tags"])
        rds.change_tags(self.client, actual.arn, change)

    def _modify(self, actual: domain.Database, changed: set[str]) -> Callable[[], Progress] | None:
        now = self.options["apply_immediately"]
        major = self.options["allow_major_version_upgrade"] and domain.major_upgrade(self.settings, actual.settings)
        rds.modify_instance(self.client, self.settings, actual, changed, now, major)
        return self._settled if now else None

    def _settled(self) -> Progress:
        return ABSENT if (actual := self.read()) is None else domain.settled(actual)

    def delete(self, actual: domain.Database) -> None:
        snapshot = None if self.options["skip_final_snapshot"] else self.options["final_snapshot_id"]
        rds.delete_instance(self.client, self.id, snapshot, self.options["delete_automated_backups"])

    def deletion_refusal(self, actual: domain.Database) -> str:
        if not (self.options["skip_final_snapshot"] or self.options["final_snapshot_id"]):
            return f"{self.subject} is deleted only with final_snapshot_id, or with skip_final_snapshot=true for good."
        return domain.deletion_refusal(actual)


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {**database_options(), **state_options(), **wait_options(2400, 15)}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    waiter = Waiter(module.params["wait_timeout"], module.params["wait_sleep"])
    run(module, DatabaseResource(module.client("rds"), module.params, module.client("secretsmanager")), waiter)


if __name__ == "__main__":
    main()
