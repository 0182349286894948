"""Step Functions."""

from lib.local.types.core import Aws, Tagging, Type, Values, f, new, same


class StateMachine(Type):
    token = "aws:sfn/stateMachine:StateMachine"
    service = "stepfunctions"
    inputs = {
        "name": new("name"),
        "definition": f("definition", json=True),
        "roleArn": f("roleArn"),
        "type": new("type", default="STANDARD"),
        **same("loggingConfiguration tracingConfiguration encryptionConfiguration"),
        "publish": f("publish", default=False),
        "tags": f("tags"),
    }
    outputs = {
        "arn": "stateMachineArn",
        "creationDate": "creationDate",
        "status": "status",
        "description": "description",
        "revisionId": "revisionId",
        "stateMachineVersionArn": "nothing",
        "versionDescription": "nothing",
        "namePrefix": "nothing",
    }
    empty = {
        "description": "",
        "revisionId": "",
        "stateMachineVersionArn": "",
        "versionDescription": "",
        "namePrefix": "",
        "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
        "tracingConfiguration": {"enabled": False},
    }
    moving = frozenset({"revisionId"})
    identity = "{out[stateMachineArn]}"
    name = "name"
    key = {"stateMachineArn": "{id}"}
    create_call = "create_state_machine"
    read_call = "describe_state_machine"
    update_call = "update_state_machine"
    delete_call = "delete_state_machine"
    tagging = Tagging(
        list="list_tags_for_resource",
        tag="tag_resource",
        untag="untag_resource",
        resource="resourceArn",
        tags="tags",
        keys="tagKeys",
        key="key",
        value="value",
    )

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        """As the API has it: a list of destinations of one kind, where Pulumi has the one that there may be."""
        logging = inputs.get("loggingConfiguration")
        if isinstance(logging, dict) and "logDestination" in logging:
            rest = {key: value for key, value in logging.items() if key != "logDestination"}
            group = {"cloudWatchLogsLogGroup": {"logGroupArn": logging["logDestination"]}}
            inputs = {**inputs, "loggingConfiguration": {**rest, "destinations": [group]}}
        return super().request(aws, operation, inputs, only)

    def translate(self, aws: Aws, operation: str, found: Values) -> Values:
        real = super().translate(aws, operation, found)
        logging = real.get("loggingConfiguration", {})
        for destination in logging.pop("destinations", []):
            logging["logDestination"] = destination["cloudWatchLogsLogGroup"]["logGroupArn"]
        return real
