"""The items API's two reads on boto3's client, with boto3's own deserialiser."""

import json
import os
from decimal import Decimal

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

TABLE = os.environ["DYNAMODB_TABLE_NAME"]
client = boto3.client("dynamodb")
deserialize = TypeDeserializer().deserialize


def plain(value):
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(type(value).__name__)


def read(item):
    return {name: deserialize(attribute) for name, attribute in item.items()}


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
            page = client.scan(TableName=TABLE, Limit=25, ConsistentRead=True)
            return answer(200, {"items": [read(item) for item in page["Items"]], "next": page.get("LastEvaluatedKey")})
        parameters = event["pathParameters"]
        key = {"ItemId": {"S": parameters["ItemId"]}, "CreatedAt": {"S": parameters["CreatedAt"]}}
        item = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
    except ClientError:
        return answer(500, {"message": "internal error"})
    return answer(200, read(item)) if item else answer(404, {"message": "not found"})
