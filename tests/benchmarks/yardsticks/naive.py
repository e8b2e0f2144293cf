"""NAIVE: what samples on the web do. Clients where they are used, the whole history read, a row and a message after.

As good as its kind gets: it pages, it reads details 25 at a time, and it compares what was deployed.
"""

import json
import os
from datetime import UTC, datetime

import boto3


def handler(event, context):
    """Stop what runs, find the newest earlier success, deploy it again, write a row, send a message."""
    codedeploy = boto3.client("codedeploy")
    names = {"applicationName": "shop", "deploymentGroupName": event["group"]}
    pages = codedeploy.get_paginator("list_deployments").paginate(**names)
    ids = [deployment_id for page in pages for deployment_id in page["deployments"]]
    history = []
    for start in range(0, len(ids), 25):
        history += codedeploy.batch_get_deployments(deploymentIds=ids[start : start + 25])["deploymentsInfo"]
    history.sort(key=lambda each: each["createTime"], reverse=True)
    bad = history[0]
    if bad["status"] in {"Created", "Queued", "InProgress"}:
        codedeploy.stop_deployment(deploymentId=bad["deploymentId"])
    good = next(d for d in history[1:] if d["status"] == "Succeeded" and d["revision"] != bad["revision"])
    made = codedeploy.create_deployment(**names, revision=good["revision"])["deploymentId"]
    row = {"pk": made, "sk": "rollback", "good": good["deploymentId"], "at": datetime.now(UTC).isoformat()}
    boto3.resource("dynamodb").Table(os.environ["LASTGOOD_TABLE"]).put_item(Item=row)
    boto3.client("sns").publish(TopicArn=os.environ["LASTGOOD_NOTIFICATION_TOPIC_ARN"], Message=json.dumps(row))
    return made
