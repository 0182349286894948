"""A Step Functions state machine, to start executions of."""

from __future__ import annotations

from json import dumps, loads

from lib.handler.service import Service, ServiceError


class StateMachine:
    """The standard state machine `arn`."""

    def __init__(self, arn: str, region: str) -> None:
        self.arn = arn
        self.service = Service("states", region, f"states.{region}.amazonaws.com", "AWS_ENDPOINT_URL_SFN")

    def start(self, name: str, text: str, deadline: float) -> str:
        """Start the execution `name` with the JSON document `text`, and return its ARN, or raise `ServiceError`.

        An execution of this name is started once: asked again, with whatever input, the answer is the first one's ARN.
        """
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": "AWSStepFunctions.StartExecution",
        }
        body = dumps({"stateMachineArn": self.arn, "name": name, "input": text}).encode()
        try:
            return str(loads(self.service.send("POST", "", headers, body, deadline))["executionArn"])
        except ServiceError as error:
            # A running one of the same input is no error; one that has ended, or got another input, is.
            if error.code != "ExecutionAlreadyExists":
                raise
        return f"{self.arn.replace(':stateMachine:', ':execution:', 1)}:{name}"
