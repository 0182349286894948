"""Lambda."""

import json
from typing import Any

from lib.local.types.archive import zipped
from lib.local.types.core import Aws, Change, RefusedError, Tagging, Type, Values, f, new, pascal

# The emulator is ready in milliseconds; botocore would look once a second at best.
QUICK = {"Delay": 0.05, "MaxAttempts": 600}


class Function(Type):
    """Code and configuration are separate calls, and a published version is a third."""

    token = "aws:lambda/function:Function"
    service = "lambda"
    inputs = {
        "name": new("FunctionName"),
        "code": f(),
        "role": f("Role"),
        "handler": f("Handler"),
        "runtime": f("Runtime"),
        "description": f("Description", default=""),
        "timeout": f("Timeout", default=3),
        "memorySize": f("MemorySize", default=128),
        "publish": f("Publish", default=False),
        "packageType": new("PackageType", default="Zip"),
        "architectures": f("Architectures", default=["x86_64"]),
        "environment": f("Environment", default={}),
        "tracingConfig": f("TracingConfig", default={"mode": "PassThrough"}),
        "ephemeralStorage": f("EphemeralStorage", default={"size": 512}),
        "loggingConfig": f("LoggingConfig"),
        "vpcConfig": f("VpcConfig"),
        "deadLetterConfig": f("DeadLetterConfig"),
        "layers": f("Layers", at="Layers[].Arn", default=[]),
        "kmsKeyArn": f("KMSKeyArn", default=""),
        "snapStart": f("SnapStart"),
        "reservedConcurrentExecutions": f(default=-1),
        "sourceCodeHash": f(),
        "skipDestroy": f(default=False),
        "tags": f("Tags"),
    }
    outputs = {
        "arn": "FunctionArn",
        "codeSha256": "CodeSha256",
        "sourceCodeHash": "CodeSha256",
        "sourceCodeSize": "CodeSize",
        "lastModified": "LastModified",
        "version": "nothing",
        "qualifiedArn": "nothing",
        "invokeArn": "nothing",
        "qualifiedInvokeArn": "nothing",
        "responseStreamingInvokeArn": "nothing",
        "signingJobArn": "SigningJobArn",
        "signingProfileVersionArn": "SigningProfileVersionArn",
    }
    empty = {
        "signingJobArn": "",
        "signingProfileVersionArn": "",
        "loggingConfig": {},
        "ephemeralStorage": {"size": 512},
        "architectures": ["x86_64"],
    }
    moving = frozenset(
        {
            "version",
            "qualifiedArn",
            "qualifiedInvokeArn",
            "lastModified",
            "codeSha256",
            "sourceCodeHash",
            "sourceCodeSize",
        }
    )
    identity = "{name}"
    name = "name"
    key = {"FunctionName": "{id}"}
    create_call = "create_function"
    read_call = "get_function"
    update_call = "update_function_configuration"
    delete_call = "delete_function"
    tagging = Tagging("list_tags", "tag_resource", "untag_resource", "Resource", map=True)
    rename = {"securityGroupIds": "SecurityGroupIds", "subnetIds": "SubnetIds"}

    def create(self, aws: Aws, inputs: Values) -> str:
        request = self.request(aws, self.create_call, inputs)
        answer = self.call(aws, self.create_call, Code={"ZipFile": zipped(inputs["code"])}, **request)
        self._settled(aws, answer["FunctionName"])
        return str(answer["FunctionName"])

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        if inputs.get("reservedConcurrentExecutions", -1) != -1:
            self._reserve(aws, resource_id, inputs)

    def read(self, aws: Aws, known: Values) -> Values | None:
        answer = self.call(aws, self.read_call, FunctionName=known["id"])
        found = answer["Configuration"]
        real = self.translate(aws, self.read_call, found)
        real |= {key: found.get(where) for key, where in self.outputs.items() if where != "nothing"}
        arn = found["FunctionArn"]
        version = self._latest(aws, known["id"]) if known.get("publish") else "$LATEST"
        invoke = f"arn:aws:apigateway:{aws.region}:lambda:path"
        return {
            **real,
            "version": version,
            "qualifiedArn": f"{arn}:{version}",
            "invokeArn": f"{invoke}/2015-03-31/functions/{arn}/invocations",
            "qualifiedInvokeArn": f"{invoke}/2015-03-31/functions/{arn}:{version}/invocations",
            "responseStreamingInvokeArn": f"{invoke}/2021-11-15/functions/{arn}/response-streaming-invocations",
            "reservedConcurrentExecutions": answer.get("Concurrency", {}).get("ReservedConcurrentExecutions", -1),
            "tags": answer.get("Tags") or {},
        }

    def update(self, aws: Aws, change: Change) -> None:
        name = change.known["id"]
        code = change.changed & {"code", "sourceCodeHash", "architectures"}
        if code:
            architectures = change.news.get("architectures") or ["x86_64"]
            self.call(
                aws,
                "update_function_code",
                FunctionName=name,
                ZipFile=zipped(change.news["code"]),
                Architectures=architectures,
            )
            self._settled(aws, name)
        configuration = change.changed - code - {"tags", "publish", "reservedConcurrentExecutions", "skipDestroy"}
        if configuration:
            super().update(aws, change)
            self._settled(aws, name)
        if "reservedConcurrentExecutions" in change.changed:
            self._reserve(aws, name, change.news)
        if change.news.get("publish") and (code or configuration or "publish" in change.changed):
            self.call(aws, "publish_version", FunctionName=name)

    def delete(self, aws: Aws, known: Values) -> None:
        if not known.get("skipDestroy"):
            super().delete(aws, known)

    def _settled(self, aws: Aws, name: str) -> None:
        aws.client(self.service).get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=QUICK)
        aws.client(self.service).get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=QUICK)

    def _latest(self, aws: Aws, name: str) -> str:
        versions = self.call(aws, "list_versions_by_function", FunctionName=name)["Versions"]
        numbers = [int(version["Version"]) for version in versions if version["Version"].isdigit()]
        return str(max(numbers)) if numbers else "$LATEST"

    def _reserve(self, aws: Aws, name: str, inputs: Values) -> None:
        reserved = int(inputs.get("reservedConcurrentExecutions", -1))
        if reserved == -1:
            self.call(aws, "delete_function_concurrency", FunctionName=name)
        else:
            self.call(aws, "put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=reserved)


class Permission(Type):
    """One statement of the function's resource policy; AWS has no call that reads or changes one."""

    token = "aws:lambda/permission:Permission"
    service = "lambda"
    inputs = {
        "statementId": new("StatementId"),
        "function": new("FunctionName"),
        **{
            key: new(field.api)
            for key, field in pascal("action principal sourceArn sourceAccount qualifier eventSourceToken").items()
        },
        "principalOrgId": new("PrincipalOrgID"),
        "functionUrlAuthType": new("FunctionUrlAuthType"),
    }
    outputs = {"statementIdPrefix": "nothing"}
    empty = {"statementIdPrefix": ""}
    identity = "{statementId}"
    name = "statementId"
    create_call = "add_permission"

    def read(self, aws: Aws, known: Values) -> Values | None:
        statement = next((s for s in self._statements(aws, known) if s.get("Sid") == known["id"]), None)
        if statement is None:
            return None
        conditions = statement.get("Condition", {})
        principal = statement["Principal"]
        return {
            "statementId": known["id"],
            "action": statement["Action"],
            "principal": next(iter(principal.values())) if isinstance(principal, dict) else principal,
            "sourceArn": first(conditions, "ArnLike", "AWS:SourceArn"),
            "sourceAccount": first(conditions, "StringEquals", "AWS:SourceAccount"),
            "principalOrgId": first(conditions, "StringEquals", "aws:PrincipalOrgID"),
            "functionUrlAuthType": first(conditions, "StringEquals", "lambda:FunctionUrlAuthType"),
        }

    def delete(self, aws: Aws, known: Values) -> None:
        self.call(aws, "remove_permission", StatementId=known["id"], **self._function(known))

    def _statements(self, aws: Aws, known: Values) -> list[Values]:
        try:
            policy = self.call(aws, "get_policy", **self._function(known))["Policy"]
        except RefusedError as error:
            if error.gone:
                return []
            raise
        statements: list[Values] = json.loads(policy)["Statement"]
        return statements

    def _function(self, known: Values) -> Values:
        qualifier = {"Qualifier": known["qualifier"]} if known.get("qualifier") else {}
        return {"FunctionName": known["function"], **qualifier}


def first(conditions: Values, operator: str, key: str) -> Any:
    """One value of a statement's condition, whatever the case of its key."""
    inside = conditions.get(operator, {})
    return next((value for name, value in inside.items() if name.lower() == key.lower()), None)
