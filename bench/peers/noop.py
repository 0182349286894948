"""The least a function can be: what Lambda itself costs in this harness."""


def handler(_event, _context):
    return {"statusCode": 200, "headers": {}, "body": "{}", "isBase64Encoded": False}
