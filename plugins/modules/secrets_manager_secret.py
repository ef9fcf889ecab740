#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret whose values are born inside the module and never leave it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets_manager_secret
short_description: Keep a secret of several keys in AWS Secrets Manager
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - A secret is one JSON object of strings. This module adds the keys that are missing and changes those that may
    change; keys that it is not told of stay as they are, and no key is ever taken away.
  - Values are generated, copied and composed inside the module. They are in no result, no diff and no log.
  - A secret that is scheduled for deletion is restored with its values.
  - Of two runs at once, one sees what the other has written and keeps its generated values.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and tell the change without making it.
    support: full
    details:
      - AWS hides the values of a secret that is scheduled for deletion, so that check mode cannot tell which of its
        keys a restore brings back. The diff says V(kept or generated) for them.
  diff_mode:
    description: Tells what changes, key by key.
    support: full
    details:
      - Shows the names of keys and how each came by its value, never a value.
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
options:
  name:
    description: Name of the secret.
    type: str
    required: true
  description:
    description: What the secret is for. Left as it is when not given.
    type: str
  kms_key_id:
    description:
      - Id, alias (V(alias/NAME)) or ARN of the KMS key that encrypts the secret. Left as it is when not given.
    type: str
  generate:
    description:
      - Keys to generate where they are missing or empty, each with V(kind) and, where wanted, V(length).
      - V(kind) is V(password), V(hex), V(base64url) or V(fernet). A password has letters, digits, V(!) and V(-), one
        of each sort at least, and is fit for RDS, ElastiCache AUTH, the LangSmith administrator and a URL.
      - V(length) counts characters. A password has 32 (16 to 128), hex 64 (from 32), base64url 43 (from 22) and fernet
        always 44.
      - A value that is there is never generated again, whatever its length.
    type: dict
    default: {}
  set:
    description: Keys and their values, where these are no secrets. They follow what is given here.
    type: dict
    default: {}
  set_secret:
    description: As O(set), for secret values that the operator holds.
    type: dict
    default: {}
  values_from:
    description:
      - Keys to copy from other secrets, each with V(secret) (name or ARN) and V(key).
      - Without V(key) the whole text of the other secret is the value.
    type: dict
    default: {}
  compose:
    description:
      - Keys put together from other keys of this secret by a template, computed again whenever one of them changes.
      - V({key}) stands for a value and V({key:urlencoded}) for the value escaped for a URL. Two braces are one.
    type: dict
    default: {}
  write_once:
    description:
      - Keys that O(set), O(set_secret), O(values_from) and O(compose) may not change once they are stored. Trying to is
        an error. Generated keys never change anyway.
    type: list
    elements: str
    default: []
  tags:
    description: Tags of the secret. Left as they are when not given.
    type: dict
  purge_tags:
    description: Remove tags that O(tags) does not name.
    type: bool
    default: false
  state:
    description: Whether the secret is there.
    type: str
    choices: [present, absent]
    default: present
  recovery_window_days:
    description: With O(state=absent), the days in which the deleted secret can be restored, 7 to 30.
    type: int
  force:
    description: With O(state=absent), delete at once and for ever. Instead of O(recovery_window_days).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Postgres credentials are born
  langsmith.aws.secrets_manager_secret:
    name: langsmith/acme-prod/postgres
    description: PostgreSQL of acme-prod
    generate:
      password:
        kind: password
    set:
      username: langsmith
      host: acme-prod-postgres.abcdef.us-east-1.rds.amazonaws.com
      port: "5432"
      dbname: langsmith
    compose:
      connection_url: "{username}:{password:urlencoded}@{host}:{port}/{dbname}?sslmode=require"
    write_once:
      - username
    tags:
      "langsmith:installation": acme-prod

- name: Delete a secret that can be restored for a week
  langsmith.aws.secrets_manager_secret:
    name: langsmith/acme-prod/postgres
    state: absent
    recovery_window_days: 7
"""

RETURN = r"""
secret:
  description: The secret without its values. V(null) with O(state=absent).
  returned: always
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    arn:
      description: Its ARN. V(null) when check mode would create it.
      type: str
    version_id:
      description: The version that is current. V(null) when check mode would create the secret.
      type: str
    description:
      description: What it is for.
      type: str
    kms_key_id:
      description: The KMS key as AWS reports it. Empty for the account's default key.
      type: str
    tags:
      description: Its tags.
      type: dict
    keys:
      description: The names of its keys, sorted.
      type: list
      elements: str
    hashes:
      description:
        - SHA-256, in hexadecimal, of each generated value and of each composed value that contains one.
        - For comparing with a copy elsewhere. Values that could be guessed have no hash here.
      type: dict
      sample:
        password: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
restored:
  description: Whether a scheduled deletion was taken back, or would be in check mode.
  returned: always
  type: bool
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients.secretsmanager import SecretsManager
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.secret import ensure


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {
        "name": {"type": "str", "required": True},
        "description": {"type": "str"},
        "kms_key_id": {"type": "str", "no_log": False},
        "generate": {"type": "dict", "default": {}},
        "set": {"type": "dict", "default": {}},
        "set_secret": {"type": "dict", "default": {}, "no_log": True},
        "values_from": {"type": "dict", "default": {}},
        "compose": {"type": "dict", "default": {}},
        "write_once": {"type": "list", "elements": "str", "default": []},
        "tags": {"type": "dict"},
        "purge_tags": {"type": "bool", "default": False},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "recovery_window_days": {"type": "int"},
        "force": {"type": "bool", "default": False},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        result = ensure(SecretsManager(module.client("secretsmanager")), module.params, module.check_mode)
    except ProjectError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
