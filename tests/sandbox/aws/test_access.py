# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import uuid
from typing import Any

import boto3
import botocore
import pytest

from tests.sandbox.aws.account import ISSUER, Account, code_of

SUBJECT = "system:serviceaccount:langsmith:backend"
SERVICES = [
    ("ec2", "describe_vpcs", "AuthFailure", "UnauthorizedOperation"),
    ("s3", "list_buckets", "InvalidAccessKeyId", "AccessDenied"),
    ("rds", "describe_db_instances", "InvalidClientTokenId", "AccessDenied"),
    ("eks", "list_clusters", "UnrecognizedClientException", "AccessDeniedException"),
    ("secretsmanager", "list_secrets", "UnrecognizedClientException", "AccessDeniedException"),
]


@pytest.fixture(scope="session")
def provider(account: Account) -> str:
    made = account.client("iam").create_open_id_connect_provider(
        Url=ISSUER, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["a" * 40]
    )
    return str(made["OpenIDConnectProviderArn"])


@pytest.fixture
def role(account: Account, provider: str) -> str:
    host = ISSUER.removeprefix("https://")
    condition = {"StringEquals": {f"{host}:aud": "sts.amazonaws.com", f"{host}:sub": SUBJECT}}
    trust = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"}
    return account.role(document={"Version": "2012-10-17", "Statement": [{**trust, "Condition": condition}]})


def assume(account: Account, role: str, token: str) -> Any:
    anonymous = account.client("sts", boto3.Session(region_name="us-east-1"), signature_version=botocore.UNSIGNED)
    return anonymous.assume_role_with_web_identity(RoleArn=role, RoleSessionName="pod", WebIdentityToken=token)


def session(account: Account, role: str) -> Any:
    made = assume(account, role, account.kubernetes.token(SUBJECT))["Credentials"]
    return boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], region_name="us-east-1")


@pytest.mark.parametrize(("service", "call", "code", "_"), SERVICES)
def test_a_key_that_nobody_has_is_refused(account: Account, service: str, call: str, code: str, _: str) -> None:
    client = account.client(service, boto3.Session("AKIA0000000000000000", "x", region_name="us-east-1"))
    assert code_of(getattr(client, call)) == code


@pytest.mark.parametrize(("service", "call", "_", "code"), SERVICES)
def test_a_role_without_a_policy_may_do_nothing(
    account: Account, role: str, service: str, call: str, _: str, code: str
) -> None:
    assert code_of(getattr(account.client(service, session(account, role)), call)) == code


def test_a_pod_becomes_its_role(account: Account, role: str) -> None:
    arn = account.client("sts", session(account, role)).get_caller_identity()["Arn"]
    assert arn == role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/pod"


def test_a_session_without_its_token_is_refused(account: Account, role: str) -> None:
    made = assume(account, role, account.kubernetes.token(SUBJECT))["Credentials"]
    stolen = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], region_name="us-east-1")
    assert code_of(account.client("sts", stolen).get_caller_identity) == "InvalidClientTokenId"


def test_tokens_that_aws_would_refuse_are_refused(account: Account, role: str) -> None:
    make = account.kubernetes.token
    good = make(SUBJECT)
    cases = {
        make(SUBJECT, audience="https://kubernetes.default.svc"): "InvalidIdentityToken",
        make(SUBJECT, issuer="https://example.org"): "InvalidIdentityToken",
        make(SUBJECT, seconds=-5): "ExpiredTokenException",
        make("system:serviceaccount:langsmith:other"): "AccessDenied",
        good[:-6] + "AAAAAA": "InvalidIdentityToken",
        "not a token": "InvalidIdentityToken",
    }
    assert {token: code_of(assume, account=account, role=role, token=token) for token in cases} == cases


def test_a_role_that_does_not_trust_the_provider_is_denied(account: Account, provider: str) -> None:
    role = account.role("ec2.amazonaws.com")
    assert code_of(assume, account=account, role=role, token=account.kubernetes.token(SUBJECT)) == "AccessDenied"


def test_a_roles_policy_decides_about_buckets_and_keys(account: Account, role: str) -> None:
    bucket = f"blobs-{uuid.uuid4().hex[:8]}"
    account.client("s3").create_bucket(Bucket=bucket)
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/in/*"}],
    }
    name = role.rpartition("/")[2]
    account.client("iam").put_role_policy(RoleName=name, PolicyName="s3", PolicyDocument=json.dumps(document))
    s3 = account.client("s3", session(account, role))
    s3.put_object(Bucket=bucket, Key="in/a", Body=b"x")
    assert code_of(s3.put_object, Bucket=bucket, Key="out/a", Body=b"x") == "AccessDenied"
    assert code_of(s3.get_object, Bucket=bucket, Key="in/a") == "AccessDenied"


def test_a_roles_policy_decides_about_one_secret(account: Account, role: str) -> None:
    admin, name = account.client("secretsmanager"), f"langsmith/{uuid.uuid4().hex[:8]}"
    arn = admin.create_secret(Name=name, SecretString="one")["ARN"]
    admin.create_secret(Name=f"{name}-other", SecretString="two")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}],
    }
    role_name = role.rpartition("/")[2]
    account.client("iam").put_role_policy(RoleName=role_name, PolicyName="s", PolicyDocument=json.dumps(document))
    mine = account.client("secretsmanager", session(account, role))
    assert mine.get_secret_value(SecretId=name)["SecretString"] == "one"
    assert code_of(mine.get_secret_value, SecretId=f"{name}-other") == "AccessDeniedException"


def test_a_bucket_policy_that_demands_tls_lets_the_endpoint_pass(account: Account) -> None:
    s3, bucket = account.client("s3"), f"tls-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}/*"]}
    document = {
        "Version": "2012-10-17",
        "Statement": [{**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}],
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_simulation_says_what_the_policies_of_a_role_allow(account: Account, role: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}]}
    iam = account.client("iam")
    iam.put_role_policy(RoleName=role.rpartition("/")[2], PolicyName="d", PolicyDocument=json.dumps(document))
    results = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=["ec2:DescribeVpcs", "ec2:CreateVpc"])
    decisions = [row["EvalDecision"] for row in results["EvaluationResults"]]
    assert decisions == ["allowed", "implicitDeny"]
