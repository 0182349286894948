"""Step Functions."""

from lib.local.types.core import Tagging, Type, f, new, same


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
