"""The items API's two reads as most tutorials write them: boto3's resource."""

import json
import os
from decimal import Decimal

import boto3
from botocore.exceptions import ClientError

table = boto3.resource("dynamodb").Table(os.environ["DYNAMODB_TABLE_NAME"])


def plain(value):
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(type(value).__name__)


def answer(status, document):
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
    return {
        "statusCode": status,
        "headers": headers,
        "body": json.dumps(document, default=plain),
        "isBase64Encoded": False,
    }


def handler(event, _context):
    try:
        if event["resource"] == "/items":
            page = table.scan(Limit=25, ConsistentRead=True)
            return answer(200, {"items": page["Items"], "next": page.get("LastEvaluatedKey")})
        parameters = event["pathParameters"]
        key = {"ItemId": parameters["ItemId"], "CreatedAt": parameters["CreatedAt"]}
        item = table.get_item(Key=key, ConsistentRead=True).get("Item")
    except ClientError:
        return answer(500, {"message": "internal error"})
    return answer(200, item) if item else answer(404, {"message": "not found"})
