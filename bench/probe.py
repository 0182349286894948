# ruff: noqa: PTH123 - pathlib would be imported into what is measured
"""Runs inside the measured interpreter: Lambda's own runtime client, then one handler and some requests.

    probe.py DIRECTORY MODULE GETS LISTS [--quota CGROUP_PROCS | --rss]

It ends without the interpreter's own clean-up, as a sandbox does. MODULE "-" measures the runtime alone.
"""

import os
import sys
import time

import awslambdaric.bootstrap  # noqa: F401 - what Lambda has imported before the function's code

ITEM_ID, CREATED_AT = "0b0e7bd5-6c4f-4a3c-9b1f-000000000007", "2026-11-21T10:00:00.000000Z"


def event(resource, path, parameters):
    return {
        "resource": resource,
        "path": path,
        "httpMethod": "GET",
        "headers": {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate, br",
            "Host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
            "User-Agent": "python-requests/2.32",
            "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
            "X-Forwarded-For": "203.0.113.7",
            "X-Forwarded-Port": "443",
            "X-Forwarded-Proto": "https",
        },
        "multiValueHeaders": {"Accept": ["application/json"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": parameters,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": "GET",
            "path": "/prod" + path,
            "stage": "prod",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "apiId": "abcdefghij",
            "identity": {"sourceIp": "203.0.113.7"},
        },
        "body": None,
        "isBase64Encoded": False,
    }


class Context:
    function_name = "dev-items-lambda"
    function_version = "1"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:dev-items-lambda"
    memory_limit_in_mb = 128
    aws_request_id = "5b441b59-a550-11c6-6564-f1c833cf438c"
    log_group_name = "/aws/lambda/dev-items-lambda"
    log_stream_name = "2026/11/21/[1]0123456789abcdef"

    def get_remaining_time_in_millis(self):
        return 300_000


def check(response):
    if response["statusCode"] != 200:
        raise SystemExit(response)


def main(directory, module, gets, lists, *mode):
    if module == "-":
        os._exit(0)
    sys.path.insert(0, directory)
    handler = __import__(module, fromlist=["handler"]).handler
    get = event(
        "/items/{ItemId}/{CreatedAt}",
        "/items/" + ITEM_ID + "/" + CREATED_AT,
        {
            "ItemId": ITEM_ID,
            "CreatedAt": CREATED_AT.replace(":", "%3A") if module == "lib.handler.items" else CREATED_AT,
        },
    )
    context = Context()
    if mode[:1] == ("--quota",):
        with open(mode[1], "w") as procs:
            procs.write(str(os.getpid()))
        time.sleep(0.2)  # as a sandbox between INIT and its first request: a quota period begins anew
    started = time.perf_counter()
    for number in range(int(gets)):
        response = handler(get, context)
        check(response)
        if number == 0:
            spent = time.perf_counter() - started
    listing = event("/items", "/items", None)
    for _ in range(int(lists)):
        response = handler(listing, context)
        check(response)
    sys.stdout.flush()
    if mode:
        with open("/proc/self/status") as status:
            rss = next(line.split()[1] for line in status if line.startswith("VmRSS"))
        print("RESULT", spent * 1000, rss, flush=True)
    os._exit(0)


main(*sys.argv[1:])
