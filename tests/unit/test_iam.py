"""The evaluator of policies that the tests of the template rely on."""

from __future__ import annotations

from typing import Any

import pytest

from iam import Request, allowed

ROLE = "arn:aws:iam::123456789012:role/ci"
ALARM = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:a"
CALL = Request("sns:Publish", "arn:aws:sns:us-east-1:123456789012:topic", ROLE)


def statement(
    effect: str = "Allow", principal: Any = "*", action: str = "sns:Publish", **condition: Any
) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": "*", "Condition": condition}


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert not allowed(CALL, [])
    assert not allowed(CALL, [statement(action="sns:Subscribe")])
    assert not allowed(CALL, [statement(principal={"Service": "cloudwatch.amazonaws.com"})])


def test_either_policy_may_allow_and_a_deny_in_any_is_final() -> None:
    identity = [{"Effect": "Allow", "Action": "sns:*", "Resource": "*"}]
    assert allowed(CALL, [statement()])
    assert allowed(CALL, [], identity)
    assert not allowed(CALL, [statement(), statement("Deny")], identity)
    assert not allowed(CALL, [statement()], [{"Effect": "Deny", "Action": "sns:Publish", "Resource": CALL.resource}])


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        ({"StringEquals": {"aws:PrincipalArn": ROLE}}, True),
        ({"StringEquals": {"AWS:principalarn": [ROLE, "another"]}}, True),
        ({"StringEquals": {"aws:SourceArn": ALARM}}, False),
        ({"StringEqualsIfExists": {"aws:SourceArn": ALARM}}, True),
        ({"ArnNotLike": {"aws:SourceArn": ALARM}}, True),
        ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/ci"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:*:role/ci"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "*"}}, False),
        ({"StringLike": {"aws:PrincipalArn": "*"}}, True),
        ({"Null": {"aws:SourceArn": "true"}}, True),
        ({"Null": {"aws:SourceArn": "false"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"ArnNotLike": {"aws:SourceArn": ALARM, "aws:PrincipalArn": ROLE}}, False),
    ],
)
def test_conditions_mean_what_aws_says_also_where_a_key_is_absent(condition: dict[str, Any], applies: bool) -> None:
    assert allowed(CALL, [statement(**condition)]) is applies


def test_an_operator_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        allowed(CALL, [statement(NumericLessThan={"aws:PrincipalArn": "1"})])
