# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM: identity providers and roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import call, none_on, pages
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.iam_oidc_provider import (
    OidcProvider,
    OidcProviderSettings,
    host_path,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.iam_role import Role
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import TagChange, from_pairs, to_pairs


def list_oidc_provider_arns(client: Any) -> list[str]:
    """The ARNs of all identity providers of the account."""
    answer = call(client, "list_open_id_connect_providers")
    return [item["Arn"] for item in answer.get("OpenIDConnectProviderList") or []]


@none_on("NoSuchEntity")
def describe_oidc_provider(client: Any, arn: str) -> OidcProvider:
    """The provider of an ARN, or ``None``."""
    data = call(client, "get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
    return OidcProvider(
        arn=arn,
        url=f"https://{host_path(data['Url'])}",
        settings=OidcProviderSettings(
            tuple(sorted(data.get("ClientIDList") or ())), tuple(sorted(data.get("ThumbprintList") or ()))
        ),
        tags=from_pairs(data.get("Tags")),
    )


def find_oidc_provider(client: Any, url: str) -> OidcProvider | None:
    """The provider of an issuer, or ``None``."""
    path = host_path(url)
    arn = next((arn for arn in list_oidc_provider_arns(client) if arn.endswith(f":oidc-provider/{path}")), None)
    return describe_oidc_provider(client, arn) if arn else None


def create_oidc_provider(client: Any, url: str, settings: OidcProviderSettings, tags: Mapping[str, str] | None) -> None:
    """Create a provider. Without thumbprints IAM fetches the issuer's own."""
    more: dict[str, Any] = {"ThumbprintList": list(settings.thumbprints)} if settings.thumbprints else {}
    if tags:
        more["Tags"] = to_pairs(tags)
    call(client, "create_open_id_connect_provider", Url=url, ClientIDList=list(settings.client_ids or ()), **more)


def update_oidc_provider(client: Any, settings: OidcProviderSettings, actual: OidcProvider) -> None:
    """Bring audiences and thumbprints to the settings."""
    have = set(actual.settings.client_ids or ())
    want = have if settings.client_ids is None else set(settings.client_ids)
    which = {"OpenIDConnectProviderArn": actual.arn}
    for client_id in sorted(want - have):
        call(client, "add_client_id_to_open_id_connect_provider", **which, ClientID=client_id)
    for client_id in sorted(have - want):
        call(client, "remove_client_id_from_open_id_connect_provider", **which, ClientID=client_id)
    if settings.thumbprints not in (None, actual.settings.thumbprints):
        prints = list(settings.thumbprints or ())
        call(client, "update_open_id_connect_provider_thumbprint", **which, ThumbprintList=prints)


def change_oidc_provider_tags(client: Any, arn: str, change: TagChange) -> None:
    """Write tags of a provider."""
    which = {"OpenIDConnectProviderArn": arn}
    if change.put:
        call(client, "tag_open_id_connect_provider", **which, Tags=to_pairs(change.put))
    if change.remove:
        call(client, "untag_open_id_connect_provider", **which, TagKeys=list(change.remove))


def delete_oidc_provider(client: Any, arn: str) -> None:
    """Delete a provider."""
    call(client, "delete_open_id_connect_provider", OpenIDConnectProviderArn=arn)


def list_roles(client: Any, prefix: str) -> dict[str, str]:
    """Name and ARN of each role whose name begins with ``prefix``."""
    roles = pages(client, "list_roles", "Roles")
    return {item["RoleName"]: item["Arn"] for item in roles if item["RoleName"].startswith(prefix)}


def role_tags(client: Any, name: str) -> dict[str, str]:
    """The tags of a role; none when it is gone meanwhile."""
    return _role_tags(client, name) or {}


@none_on("NoSuchEntity")
def _role_tags(client: Any, name: str) -> dict[str, str]:
    return from_pairs(call(client, "list_role_tags", RoleName=name).get("Tags"))


@none_on("NoSuchEntity")
def describe_role(client: Any, name: str) -> Role:
    """The role with its policies, or ``None``."""
    data = call(client, "get_role", RoleName=name)["Role"]
    attached = pages(client, "list_attached_role_policies", "AttachedPolicies", RoleName=name)
    inline = pages(client, "list_role_policies", "PolicyNames", RoleName=name)
    return Role(
        name=name,
        arn=data["Arn"],
        assume_role_policy=data.get("AssumeRolePolicyDocument") or {},
        managed_policies=tuple(sorted(item["PolicyArn"] for item in attached)),
        inline_policies={
            policy: call(client, "get_role_policy", RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in inline
        },
        tags=from_pairs(data.get("Tags")),
    )
