"""What a role needs that deploys the stack: per kind of resource, and only on names that this stack gives.

Whoever holds this policy can make lastgood do anything: it writes the function's code, role and policies. With a
permissions boundary (`PermissionsBoundaryArn`) the function's role can be given no more than the boundary allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# What each statement is about, after `arn:<partition>:`. CloudFormation names what it makes `<stack>-<logical id>-…`.
PLACES: Mapping[str, tuple[str, ...]] = {
    "Functions": ("lambda:{here}:function:{stack}-*",),
    "Topics": ("sns:{here}:{stack}-*",),
    "Queues": ("sqs:{here}:{stack}-*",),
    "Roles": ("iam::{account}:role/{stack}-*",),
    "Policies": ("iam::{account}:policy/{stack}-*",),
    "Alarms": ("cloudwatch:{here}:alarm:{stack}-*",),
    "Rules": ("events:{here}:rule/{stack}-*",),
    "LogGroups": ("logs:{here}:log-group:{stack}-*",),
    "FindLogGroups": ("*",),
    "Tables": ("dynamodb:{here}:table/{stack}-*",),
    "Dashboards": ("cloudwatch::{account}:dashboard/{stack}",),
    "FindAlarms": ("*",),
    "PassTheFunctionsRole": ("iam::{account}:role/{stack}-*",),
    "PassTheChannelsRole": ("iam::{account}:role/{stack}-*",),
    "Chat": ("*",),
    "DeployTheStack": ("cloudformation:{here}:stack/{stack}/*",),
    "FindTheBucketOfArtifacts": ("cloudformation:{here}:stack/aws-sam-cli-managed-default/*",),
    "TransformTheTemplate": ("cloudformation:{region}:aws:transform/Serverless-2016-10-31",),
    "SummarizeTheTemplate": ("*",),
    "UploadTheArtifact": ("s3:::aws-sam-cli-managed-default-*", "s3:::aws-sam-cli-managed-default-*/*"),
}
# What CloudFormation calls for each kind of resource, by statement.
BY_KIND: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "AWS::Lambda::Function": {
        "Functions": (
            "lambda:CreateFunction",
            "lambda:DeleteFunction",
            "lambda:DeleteFunctionConcurrency",
            "lambda:GetFunction",
            "lambda:GetFunctionCodeSigningConfig",
            "lambda:GetFunctionRecursionConfig",
            "lambda:ListTags",
            "lambda:PutFunctionConcurrency",
            "lambda:PutFunctionRecursionConfig",
            "lambda:TagResource",
            "lambda:UntagResource",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
        ),
        "PassTheFunctionsRole": ("iam:PassRole",),
    },
    "AWS::Lambda::EventInvokeConfig": {
        "Functions": (
            "lambda:DeleteFunctionEventInvokeConfig",
            "lambda:GetFunctionEventInvokeConfig",
            "lambda:PutFunctionEventInvokeConfig",
            "lambda:UpdateFunctionEventInvokeConfig",
        )
    },
    "AWS::Lambda::Permission": {
        "Functions": (
            "lambda:AddPermission",
            "lambda:GetPolicy",
            "lambda:RemovePermission",
        ),
    },
    "AWS::IAM::Role": {
        "Roles": (
            "iam:AttachRolePolicy",
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:DeleteRolePermissionsBoundary",
            "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:PutRolePermissionsBoundary",
            "iam:PutRolePolicy",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
        )
    },
    "AWS::Chatbot::CustomAction": {
        "Chat": (
            "chatbot:CreateCustomAction",
            "chatbot:DeleteCustomAction",
            "chatbot:GetCustomAction",
            "chatbot:ListTagsForResource",
            "chatbot:TagResource",
            "chatbot:UntagResource",
            "chatbot:UpdateCustomAction",
        )
    },
    "AWS::Chatbot::SlackChannelConfiguration": {
        "Chat": (
            "chatbot:AssociateToConfiguration",
            "chatbot:CreateSlackChannelConfiguration",
            "chatbot:DeleteSlackChannelConfiguration",
            "chatbot:DescribeSlackChannelConfigurations",
            "chatbot:DisassociateFromConfiguration",
            "chatbot:ListAssociations",
            "chatbot:ListTagsForResource",
            "chatbot:TagResource",
            "chatbot:UntagResource",
            "chatbot:UpdateSlackChannelConfiguration",
        ),
        "PassTheChannelsRole": ("iam:PassRole",),
    },
    "AWS::Lambda::Alias": {
        "Functions": ("lambda:CreateAlias", "lambda:DeleteAlias", "lambda:GetAlias", "lambda:UpdateAlias")
    },
    "AWS::IAM::ManagedPolicy": {
        "Policies": (
            "iam:CreatePolicy",
            "iam:CreatePolicyVersion",
            "iam:DeletePolicy",
            "iam:DeletePolicyVersion",
            "iam:GetPolicy",
            "iam:GetPolicyVersion",
            "iam:ListEntitiesForPolicy",
            "iam:ListPolicyVersions",
        )
    },
    "AWS::IAM::Policy": {"Roles": ("iam:DeleteRolePolicy", "iam:GetRolePolicy", "iam:PutRolePolicy")},
    "AWS::SNS::Topic": {
        "Topics": (
            "sns:CreateTopic",
            "sns:DeleteTopic",
            "sns:GetDataProtectionPolicy",
            "sns:GetTopicAttributes",
            "sns:ListSubscriptionsByTopic",
            "sns:ListTagsForResource",
            "sns:SetTopicAttributes",
            "sns:TagResource",
            "sns:UntagResource",
        )
    },
    "AWS::SNS::TopicPolicy": {"Topics": ("sns:GetTopicAttributes", "sns:SetTopicAttributes")},
    "AWS::SNS::Subscription": {
        "Topics": (
            "sns:GetSubscriptionAttributes",
            "sns:ListSubscriptionsByTopic",
            "sns:SetSubscriptionAttributes",
            "sns:Subscribe",
            "sns:Unsubscribe",
        )
    },
    "AWS::SQS::Queue": {
        "Queues": (
            "sqs:CreateQueue",
            "sqs:DeleteQueue",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ListQueueTags",
            "sqs:SetQueueAttributes",
            "sqs:TagQueue",
            "sqs:UntagQueue",
        )
    },
    "AWS::SQS::QueuePolicy": {"Queues": ("sqs:GetQueueAttributes", "sqs:SetQueueAttributes")},
    "AWS::Events::Rule": {
        "Rules": (
            "events:DeleteRule",
            "events:DescribeRule",
            "events:ListTargetsByRule",
            "events:PutRule",
            "events:PutTargets",
            "events:RemoveTargets",
            "events:TagResource",
            "events:UntagResource",
        )
    },
    "AWS::Logs::LogGroup": {
        "LogGroups": (
            "logs:AssociateKmsKey",
            "logs:CreateLogGroup",
            "logs:DeleteLogGroup",
            "logs:DisassociateKmsKey",
            "logs:ListTagsForResource",
            "logs:PutRetentionPolicy",
            "logs:TagResource",
            "logs:UntagResource",
        ),
        "FindLogGroups": ("logs:DescribeLogGroups",),
    },
    "AWS::DynamoDB::Table": {
        "Tables": (
            "dynamodb:CreateTable",
            "dynamodb:DeleteResourcePolicy",
            "dynamodb:DeleteTable",
            "dynamodb:DescribeContinuousBackups",
            "dynamodb:DescribeContributorInsights",
            "dynamodb:DescribeKinesisStreamingDestination",
            "dynamodb:DescribeTable",
            "dynamodb:DescribeTimeToLive",
            "dynamodb:GetResourcePolicy",
            "dynamodb:ListTagsOfResource",
            "dynamodb:PutResourcePolicy",
            "dynamodb:TagResource",
            "dynamodb:UntagResource",
            "dynamodb:UpdateContinuousBackups",
            "dynamodb:UpdateTable",
            "dynamodb:UpdateTimeToLive",
        )
    },
    "AWS::CloudWatch::Alarm": {
        "Alarms": (
            "cloudwatch:DeleteAlarms",
            "cloudwatch:ListTagsForResource",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
        ),
        "FindAlarms": ("cloudwatch:DescribeAlarms",),
    },
    "AWS::CloudWatch::Dashboard": {
        "Dashboards": ("cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard", "cloudwatch:PutDashboard")
    },
}
# What `sam deploy` itself calls. The bucket is the one that SAM makes for artifacts (`resolve_s3`), with its own stack.
SAM: Mapping[str, tuple[str, ...]] = {
    "DeployTheStack": (
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteChangeSet",
        "cloudformation:DeleteStack",
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeStacks",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:GetTemplate",
    ),
    "FindTheBucketOfArtifacts": ("cloudformation:DescribeStackResources", "cloudformation:DescribeStacks"),
    "TransformTheTemplate": ("cloudformation:CreateChangeSet",),
    "SummarizeTheTemplate": ("cloudformation:GetTemplateSummary",),
    "UploadTheArtifact": ("s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:PutObject"),
}
CONDITIONS: Mapping[str, dict[str, Any]] = {
    "PassTheFunctionsRole": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
    "PassTheChannelsRole": {"StringEquals": {"iam:PassedToService": "chatbot.amazonaws.com"}},
}


def deployer_policy(kinds: Iterable[str], stack: str, region: str, account: str, partition: str) -> dict[str, Any]:
    """The policy for a stack that is made of these kinds of resources. Raises KeyError for a kind that is not known."""
    names = {"here": f"{region}:{account}", "region": region, "account": account, "stack": stack}
    actions: dict[str, set[str]] = {sid: set(needed) for sid, needed in SAM.items()}
    for kind in kinds:
        for sid, needed in BY_KIND[kind].items():
            actions.setdefault(sid, set()).update(needed)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": sid,
                "Effect": "Allow",
                "Action": sorted(needed),
                "Resource": [_arn(place, partition, names) for place in PLACES[sid]],
                **({"Condition": CONDITIONS[sid]} if sid in CONDITIONS else {}),
            }
            for sid, needed in actions.items()
        ],
    }


def _arn(place: str, partition: str, names: Mapping[str, str]) -> str:
    return place if place == "*" else f"arn:{partition}:{place.format(**names)}"
