"""The least a function can be: what Lambda itself costs in this harness."""


def handler(event, context):
    return {"statusCode": 200, "headers": {}, "body": "{}", "isBase64Encoded": False}
