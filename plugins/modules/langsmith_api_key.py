#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API key of LangSmith that goes from LangSmith to Secrets Manager and nowhere else."""

from __future__ import annotations

DOCUMENTATION = r"""
module: langsmith_api_key
short_description: Keep a working LangSmith API key in AWS Secrets Manager
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Asks LangSmith whether the key in Secrets Manager works. Where there is none or LangSmith refuses it, logs in, makes
    a service key and stores it.
  - Where LangSmith does not answer, or something before it does, the key is left as it is and the module fails.
  - Password and key are in no result, no diff and no log.
extends_documentation_fragment:
  - langsmith.aws.connection
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and tell the change without making it.
    support: full
    details:
      - Tries a stored key, logs in nowhere.
  diff_mode:
    description: Tells what changes.
    support: full
    details:
      - Tells whether the key was V(missing), V(refused) or V(works), never the key.
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
options:
  url:
    description: URL of the installation, as V(https://host) or with its base path.
    type: str
    required: true
  email:
    description: Who logs in, such as the installation's first administrator.
    type: str
    required: true
  password_secret:
    description: Where in Secrets Manager the password is. It is read only when a key has to be made.
    type: dict
    required: true
    suboptions:
      name:
        description: Name or ARN of the secret.
        type: str
        required: true
      key:
        description: Key of the secret's JSON object.
        type: str
        required: true
  key_secret:
    description: Where in Secrets Manager the API key is kept. The secret is made where it is missing.
    type: dict
    required: true
    suboptions:
      name:
        description: Name of the secret.
        type: str
        required: true
      key:
        description: Key of the secret's JSON object; its other keys stay as they are.
        type: str
        default: api_key
  description:
    description: What the key is for, as LangSmith lists it; the new secret's description too.
    type: str
    default: langsmith.aws
  workspace:
    description: Display name of the workspace of the key, where the user sees more than one.
    type: str
  kms_key_id:
    description: KMS key of a new secret; the account's default key for Secrets Manager without it.
    type: str
  tags:
    description: Tags that the secret has to carry.
    type: dict
  purge_tags:
    description: Whether to remove the secret's other tags; nothing is removed without O(tags).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Ensure that there is a key for the probe
  langsmith.aws.langsmith_api_key:
    url: https://langsmith.example.com
    email: admin@example.com
    password_secret:
      name: langsmith/acme-prod/config
      key: initial_org_admin_password
    key_secret:
      name: langsmith/acme-prod/api-key
    tags:
      "langsmith:installation": acme-prod
    region: us-east-1
"""

RETURN = r"""
secret:
  description: Where the key is.
  returned: always
  type: dict
  contains:
    name:
      description: The secret's name.
      type: str
    key:
      description: The key of its JSON object.
      type: str
    arn:
      description: Its ARN; none in check mode where it is missing.
      type: str
workspace_id:
  description: The workspace that the new key belongs to.
  returned: when a key was made
  type: str
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import connect
from ansible_collections.langsmith.aws.plugins.module_utils.clients.secretsmanager import SecretsManager
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.api_key import ensure
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import CONNECTION_ARG_SPEC
from ansible_collections.langsmith.aws.plugins.module_utils.shell.secret_reference import secret_reference


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {
        "url": {"type": "str", "required": True},
        "email": {"type": "str", "required": True},
        "password_secret": secret_reference(required=True),
        "key_secret": secret_reference("api_key", required=True),
        "description": {"type": "str", "default": "langsmith.aws"},
        "workspace": {"type": "str"},
        "kms_key_id": {"type": "str", "no_log": False},
        "tags": {"type": "dict"},
        "purge_tags": {"type": "bool", "default": False},
        **CONNECTION_ARG_SPEC,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    store = SecretsManager(module.client("secretsmanager"))
    try:
        result = ensure(store, connect, module.params, module.check_mode, module.no_log_values.add)
    except (ProjectError, ValueError) as error:
        module.fail_json(msg=f"langsmith_api_key: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
