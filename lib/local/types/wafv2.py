"""WAF: every change needs the token of the last one."""

from lib.local.types.core import Aws, Change, Tagging, Type, Values, f, fill, new, pascal, public


class WebAcl(Type):
    token = "aws:wafv2/webAcl:WebAcl"
    service = "wafv2"
    inputs = {
        "name": new("Name"),
        "scope": new("Scope"),
        **pascal("defaultAction visibilityConfig captchaConfig challengeConfig customResponseBodies associationConfig"),
        "description": f("Description", default=""),
        "rules": f("Rules", unordered=True, default=[]),
        "tokenDomains": f("TokenDomains", unordered=True),
        "tags": f("Tags"),
    }
    outputs = {
        "arn": "ARN",
        "capacity": "Capacity",
        "lockToken": "nothing",
        "applicationIntegrationUrl": "nothing",
        "namePrefix": "nothing",
    }
    empty = {"capacity": 0, "applicationIntegrationUrl": "", "namePrefix": ""}
    moving = frozenset({"lockToken", "capacity"})
    identity = "{out[Summary][Id]}"
    name = "name"
    key = {"Name": "{name}", "Scope": "{scope}", "Id": "{id}"}
    create_call = "create_web_acl"
    read_call = "get_web_acl"
    read_at = "WebACL"
    update_call = "update_web_acl"
    delete_call = "delete_web_acl"
    rename = {"cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled"}
    tagging = Tagging("list_tags_for_resource", "tag_resource", "untag_resource", "ResourceARN")

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        return real and {**real, "scope": known["scope"], "lockToken": self._token(aws, known)}

    def tags(self, aws: Aws, known: Values) -> dict[str, str]:
        answer = self.call(aws, "list_tags_for_resource", ResourceARN=known["arn"])
        return {tag["Key"]: tag["Value"] for tag in answer.get("TagInfoForResource", {}).get("TagList", [])}

    def update(self, aws: Aws, change: Change) -> None:
        self.call(aws, self.update_call, LockToken=self._token(aws, change.known), **self.wanted(aws, change))

    def delete(self, aws: Aws, known: Values) -> None:
        self.call(aws, self.delete_call, LockToken=self._token(aws, known), **self.named(aws, known))

    def _token(self, aws: Aws, known: Values) -> str:
        return str(self.call(aws, self.read_call, **self.named(aws, known))["LockToken"])


class WebAclAssociation(Type):
    token = "aws:wafv2/webAclAssociation:WebAclAssociation"
    service = "wafv2"
    inputs = {"resourceArn": new("ResourceArn"), "webAclArn": new("WebACLArn", at="ARN")}
    identity = "{webAclArn},{resourceArn}"
    key = {"ResourceArn": "{resourceArn}"}
    create_call = "associate_web_acl"
    read_call = "get_web_acl_for_resource"
    read_at = "WebACL"
    delete_call = "disassociate_web_acl"
    delete_first = True

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        return real and {**real, "resourceArn": known["resourceArn"]}


class WebAclLoggingConfiguration(Type):
    """The emulator has no call for it: what AWS would be asked for is checked, and only the stack's state keeps it."""

    token = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
    service = "wafv2"
    inputs = {
        "resourceArn": new("ResourceArn"),
        "logDestinationConfigs": new("LogDestinationConfigs", unordered=True),
        "redactedFields": f("RedactedFields", unordered=True, default=[]),
        "loggingFilter": f("LoggingFilter"),
    }
    identity = "{resourceArn}"
    create_call = "put_logging_configuration"

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        del only
        whole = aws.model(self.service, operation).input_shape.members["LoggingConfiguration"]
        asked = {key: value for key, value in public(inputs).items() if key != "region"}
        return {"LoggingConfiguration": self._to_api(asked, whole, "")}

    def create(self, aws: Aws, inputs: Values) -> str:
        self._firewall(aws, inputs["resourceArn"])
        return fill(self.identity, inputs)

    def read(self, aws: Aws, known: Values) -> Values | None:
        self._firewall(aws, known["id"])
        return {"resourceArn": known["id"]}

    def update(self, aws: Aws, change: Change) -> None:
        self._firewall(aws, change.known["id"])

    def delete(self, aws: Aws, known: Values) -> None:
        """There is nothing to delete."""

    def _firewall(self, aws: Aws, arn: str) -> None:
        # What is not there can't be logged, here as on AWS.
        self.call(aws, "list_tags_for_resource", ResourceARN=arn)
