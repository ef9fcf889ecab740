# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for IAM calls that moto lacks."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.iam.responses import IamResponse

from sandbox.aws import access, policy
from sandbox.aws.errors import CallError


def simulate_principal_policy(self: IamResponse) -> ActionResult:
    """SimulatePrincipalPolicy: one result for each action and resource; context entries as given."""
    documents = access.documents(str(self._get_param("PolicySourceArn")))
    documents += [str(text) for text in self._get_param("PolicyInputList") or []]
    entries = self._get_param("ContextEntries") or []
    context = {entry["ContextKeyName"].lower(): entry["ContextKeyValues"] for entry in entries}
    results = []
    for action in self._get_param("ActionNames"):
        for resource in self._get_param("ResourceArns") or ["*"]:
            decision = policy.decide(documents, action, None if resource == "*" else resource, context)
            result = {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision}
            results.append({**result, "MatchedStatements": [], "MissingContextValues": []})
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _provider(self: IamResponse) -> Any:
    arn = self._get_param("OpenIDConnectProviderArn")
    found = access.iam().open_id_providers.get(arn)
    if found is None:
        raise CallError("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
    return found


def add_client_id_to_open_id_connect_provider(self: IamResponse) -> EmptyResult:
    """AddClientIDToOpenIDConnectProvider: does nothing when the client is there already."""
    provider, client = _provider(self), self._get_param("ClientID")
    if client not in provider.client_id_list:
        provider.client_id_list.append(client)
    return EmptyResult()


def remove_client_id_from_open_id_connect_provider(self: IamResponse) -> EmptyResult:
    """RemoveClientIDFromOpenIDConnectProvider: does nothing when the client is not there."""
    provider, client = _provider(self), self._get_param("ClientID")
    if client in provider.client_id_list:
        provider.client_id_list.remove(client)
    return EmptyResult()


def install() -> None:
    """Add the calls."""
    for function in (
        simulate_principal_policy,
        add_client_id_to_open_id_connect_provider,
        remove_client_id_from_open_id_connect_provider,
    ):
        setattr(IamResponse, function.__name__, function)
