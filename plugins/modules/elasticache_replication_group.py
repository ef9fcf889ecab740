#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ElastiCache replication group, always encrypted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: elasticache_replication_group
short_description: Keep an Amazon ElastiCache replication group
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Creates, changes and deletes a replication group without sharding. It always has TLS
    and encryption at rest.
  - The AUTH token is read from Secrets Manager inside the module, at creation only. It is in no option, result,
    diff or log.
  - What ElastiCache cannot change in place is turned down before the first call, with the reason.

extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.tags
  - langsmith.aws.state_attributes
options:
  id:
    description: Identifier of the replication group, at most 40 characters.
    type: str
    required: true
  description:
    description: What it is for. Needed at creation.
    type: str
  engine:
    description: Engine. ElastiCache goes from V(redis) to V(valkey) and never back.
    type: str
    choices: [redis, valkey]
    default: redis
  engine_version:
    description: Its version. V("7.1") is satisfied by 7.1.0. ElastiCache's default at creation when not given.
    type: str
  node_type:
    description: Node type, such as V(cache.m7g.large). Needed at creation.
    type: str
  replicas:
    description: Nodes beside the primary.
    type: int
    default: 0
  automatic_failover:
    description: Whether a replica takes over by itself. Needs one replica at least.
    type: bool
    default: false
  multi_az:
    description: Whether nodes are in different zones. Needs O(automatic_failover).
    type: bool
    default: false
  port:
    description: Port to listen on. 6379 at creation when not given. Fixed afterwards.
    type: int
  subnet_group_name:
    description: Cache subnet group. Needed at creation.
    type: str
  security_group_ids:
    description: Security groups, all of them.
    type: list
    elements: str
  parameter_group_name:
    description: Cache parameter group.
    type: str
  auth_token_secret:
    description: Where the AUTH token is. Read at creation only. Without it the cache asks for no password.
    type: dict
    suboptions:
      name:
        description: Name or ARN of the secret.
        type: str
        required: true
      key:
        description: Its key.
        type: str
        default: auth_token
  kms_key_id:
    description: Id, alias or ARN of the KMS key of encryption at rest. Fixed at creation.
    type: str
  snapshot_retention_days:
    description: How many days daily snapshots are kept. V(0) makes none.
    type: int
  snapshot_window:
    description: When snapshots are made, in UTC, such as V(03:00-04:00).
    type: str
  maintenance_window:
    description: When maintenance is done, in UTC, such as V(sun:05:00-sun:06:00).
    type: str
  apply_immediately:
    description: Whether changes are made at once, or in the maintenance window.
    type: bool
    default: true
  final_snapshot_id:
    description: Name of a last snapshot that O(state=absent) makes. None when not given.
    type: str
  state:
    description: Whether the replication group is to be there.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Whether to wait until the replication group is available with all changes made, or gone.
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
- name: Start the cache, and do other things meanwhile
  langsmith.aws.elasticache_replication_group:
    id: acme-dev-redis
    description: LangSmith queues and cache
    engine_version: "7.1"
    node_type: cache.m7g.large
    subnet_group_name: acme-dev-redis
    security_group_ids: [sg-0123456789abcdef0]
    auth_token_secret:
      name: langsmith/acme-dev/redis
    snapshot_retention_days: 1
    wait: false
"""

RETURN = r"""
cache:
  description: The replication group. Null when it is not there. In check mode as it would be.
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
      description: ElastiCache's word for where it stands.
      type: str
    host:
      description: Name of the primary to connect to, null until ElastiCache gives one.
      type: str
    port:
      description: Port to connect to.
      type: int
    engine_version:
      description: Its version, null while it is being made.
      type: str
    node_type:
      description: Its node type.
      type: str
    transit_encryption:
      description: Whether clients connect with TLS.
      type: bool
    pending:
      description: Changes that ElastiCache has accepted but not yet made.
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
from ansible_collections.langsmith.aws.plugins.module_utils.clients import elasticache
from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws_secret import secret_value
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import Waiter
from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference, settings_dict
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import ABSENT, Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import (
    elasticache_replication_group as domain,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_options import (
    cache_options,
    state_options,
    wait_options,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import Resource, Step, required, run


class CacheResource(Resource):
    """The replication group as the common steps of a state module see it."""

    key = "cache"

    def __init__(self, client: Any, options: dict[str, Any], secrets: Any) -> None:
        self.client, self.options, self.secrets, self.id = client, options, secrets, options["id"]
        self.settings = domain.CacheSettings.from_options(options)
        self.subject = f"ElastiCache replication group {self.id}"

    def read(self) -> domain.Cache | None:
        return elasticache.describe_group(self.client, self.id)

    def progress(self, actual: domain.Cache) -> Progress:
        return domain.progress(actual)

    def differences(self, actual: domain.Cache) -> list[Difference]:
        return domain.differences(self.settings, actual, self.options["tags"], self.options["purge_tags"])

    def wanted(self) -> dict[str, Any]:
        required(self.options, ("description", "node_type", "subnet_group_name"), self.subject)
        return {"id": self.id, **settings_dict(self.settings), "tags": self.options["tags"] or {}}

    def create(self) -> None:
        where = self.options["auth_token_secret"]
        token = secret_value(self.secrets, where) if where else None
        elasticache.create_group(self.client, self.id, self.settings, token, self.options["tags"])

    def updates(self, actual: domain.Cache, differences: list[Difference]) -> list[Step]:
        changed = {item.field for item in differences}
        now = self.options["apply_immediately"]
        steps: list[Step] = []
        if "tags" in changed:
            steps.append(lambda: self._tag(actual))
        grow = "replicas" in changed and (self.settings.replicas or 0) > (actual.settings.replicas or 0)
        if grow:
            steps.append(lambda: self._resize(actual))
        if fields := changed.intersection(domain.MODIFY_FIELDS):
            steps.append(lambda: self._modify(fields, now))
        # Failover needs a replica: replicas come before it is turned on, and go after it is turned off.
        if "replicas" in changed and not grow:
            steps.append(lambda: self._resize(actual))
        return steps

    def _tag(self, actual: domain.Cache) -> None:
        change = tag_change(self.options["tags"], actual.tags, self.options["purge_tags"])
        elasticache.change_tags(self.client, actual.arn, change)

    def _resize(self, actual: domain.Cache) -> Callable[[], Progress]:
        have = actual.settings.replicas or 0
        elasticache.change_replicas(self.client, self.id, have, self.settings.replicas or 0)
        return self._settled

    def _modify(self, fields: set[str], now: bool) -> Callable[[], Progress] | None:
        elasticache.modify_group(self.client, self.id, self.settings, fields, now)
        return self._settled if now else None

    def _settled(self) -> Progress:
        return ABSENT if (actual := self.read()) is None else domain.settled(actual)

    def delete(self, actual: domain.Cache) -> None:
        elasticache.delete_group(self.client, self.id, self.options["final_snapshot_id"])


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {**cache_options(), **state_options(), **wait_options(2400, 15)}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    waiter = Waiter(module.params["wait_timeout"], module.params["wait_sleep"])
    run(module, CacheResource(module.client("elasticache"), module.params, module.client("secretsmanager")), waiter)


if __name__ == "__main__":
    main()
