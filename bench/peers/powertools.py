"""The items API's two reads on Powertools for AWS Lambda: its resolver, logger and metrics, over boto3's resource."""

import os

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="items")
metrics = Metrics(namespace="tap", service="items")
app = APIGatewayRestResolver(cors=CORSConfig())
table = boto3.resource("dynamodb").Table(os.environ["DYNAMODB_TABLE_NAME"])


@app.get("/items")
def list_items():
    page = table.scan(Limit=25, ConsistentRead=True)
    return {"items": page["Items"], "next": page.get("LastEvaluatedKey")}


@app.get("/items/<item_id>/<created_at>")
def get_item(item_id, created_at):
    item = table.get_item(Key={"ItemId": item_id, "CreatedAt": created_at}, ConsistentRead=True).get("Item")
    if item is None:
        raise NotFoundError("not found")
    return item


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event, context):
    metrics.add_metric(name="requests", unit=MetricUnit.Count, value=1)
    response = app.resolve(event, context)
    logger.info("request", extra={"status": response["statusCode"]})
    return response
