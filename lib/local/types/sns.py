"""SNS, whose settings are all one map of strings."""

import json

from lib.local.types.core import Aws, Change, Field, RefusedError, Tagging, Type, Values, f, new, public, scalar


class Attributes(Type):
    """A type whose inputs are entries of an `Attributes` map, named in `attributes`."""

    service = "sns"
    attributes: dict[str, str]
    get_call: str
    set_call: str
    arn_name: str

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        params = super().request(aws, operation, inputs, only)
        attributes = {
            self.attributes[key]: scalar(value, "string")
            for key, value in public(inputs).items()
            if key in self.attributes and isinstance(value, (str, bool, int, float))
        }
        return {**params, "Attributes": attributes} if attributes else params

    def read(self, aws: Aws, known: Values) -> Values | None:
        found = self.call(aws, self.get_call, **{self.arn_name: known["id"]})["Attributes"]
        real: Values = {"found": found}
        for key, api in self.attributes.items():
            if (value := found.get(api)) not in (None, ""):
                default = self.fields[key].default
                real[key] = (
                    value == "true" if isinstance(default, bool) else int(value) if isinstance(default, int) else value
                )
        return real

    def update(self, aws: Aws, change: Change) -> None:
        for key in sorted(change.changed & set(self.attributes)):
            default = self.fields[key].default
            value = scalar(change.news.get(key, "" if default is None else default), "string")
            self.call(
                aws,
                self.set_call,
                **{self.arn_name: change.known["id"]},
                AttributeName=self.attributes[key],
                AttributeValue=value,
            )


class Topic(Attributes):
    """Creating a topic whose name exists returns that topic, in AWS as here."""

    token = "aws:sns/topic:Topic"
    attributes = {
        "displayName": "DisplayName",
        "policy": "Policy",
        "deliveryPolicy": "DeliveryPolicy",
        "kmsMasterKeyId": "KmsMasterKeyId",
        "fifoTopic": "FifoTopic",
        "contentBasedDeduplication": "ContentBasedDeduplication",
        "signatureVersion": "SignatureVersion",
        "tracingConfig": "TracingConfig",
    }
    inputs = {
        "name": new("Name"),
        "displayName": f(),
        "policy": f(json=True),
        "deliveryPolicy": f(json=True),
        "kmsMasterKeyId": f(),
        "fifoTopic": new(default=False),
        "contentBasedDeduplication": f(default=False),
        "signatureVersion": f(default=1),
        "tracingConfig": f(),
        "tags": f("Tags"),
    }
    outputs = {
        "arn": "TopicArn",
        "owner": "Owner",
        "policy": "Policy",
        **dict.fromkeys(("beginningArchiveTime", "fifoThroughputScope", "maximumMessageSize", "namePrefix"), "nothing"),
    }
    empty = {
        "beginningArchiveTime": "",
        "fifoThroughputScope": "",
        "maximumMessageSize": 262144,
        "namePrefix": "",
        "signatureVersion": 0,
        "tracingConfig": "",
    }
    identity = "{out[TopicArn]}"
    name = "name"
    key = {"TopicArn": "{id}"}
    create_call = "create_topic"
    get_call, set_call, arn_name = "get_topic_attributes", "set_topic_attributes", "TopicArn"
    delete_call = "delete_topic"
    tagging = Tagging("list_tags_for_resource", "tag_resource", "untag_resource", "ResourceArn")
    tag_target = "{id}"

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known) or {}
        found = real.pop("found")
        name = known["id"].rsplit(":", 1)[1]
        return {**real, "name": name, "arn": known["id"], "owner": found.get("Owner"), "tags": self.tags(aws, known)}


class TopicPolicy(Type):
    """A topic always has a policy: this one overwrites it, and its deletion puts AWS's default back."""

    token = "aws:sns/topicPolicy:TopicPolicy"
    service = "sns"
    inputs = {"arn": new("TopicArn"), "policy": f(json=True)}
    outputs = {"owner": "Owner"}
    identity = "{arn}"
    create_call = "set_topic_attributes"

    def create(self, aws: Aws, inputs: Values) -> str:
        arn: str = inputs["arn"]
        self._set(aws, arn, inputs["policy"])
        return arn

    def read(self, aws: Aws, known: Values) -> Values | None:
        found = self.call(aws, "get_topic_attributes", TopicArn=known["id"])["Attributes"]
        if json.loads(found["Policy"]) == json.loads(default_policy(known["id"], aws.account)):
            return None
        return {"arn": known["id"], "policy": found["Policy"], "owner": found.get("Owner")}

    def update(self, aws: Aws, change: Change) -> None:
        self._set(aws, change.known["id"], change.news["policy"])

    def delete(self, aws: Aws, known: Values) -> None:
        self._set(aws, known["id"], default_policy(known["id"], aws.account))

    def _set(self, aws: Aws, arn: str, policy: str) -> None:
        self.call(aws, self.create_call, TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


class TopicSubscription(Attributes):
    token = "aws:sns/topicSubscription:TopicSubscription"
    attributes = {
        "rawMessageDelivery": "RawMessageDelivery",
        "filterPolicy": "FilterPolicy",
        "filterPolicyScope": "FilterPolicyScope",
        "deliveryPolicy": "DeliveryPolicy",
        "redrivePolicy": "RedrivePolicy",
        "subscriptionRoleArn": "SubscriptionRoleArn",
    }
    inputs = {
        "topic": new("TopicArn"),
        "protocol": new("Protocol"),
        "endpoint": new("Endpoint"),
        "rawMessageDelivery": f(default=False),
        "filterPolicy": f(json=True),
        "filterPolicyScope": f(),
        "deliveryPolicy": f(json=True),
        "redrivePolicy": f(json=True),
        "subscriptionRoleArn": f(),
        "confirmationTimeoutInMinutes": Field(default=1),
        "endpointAutoConfirms": Field(default=False),
    }
    outputs = dict.fromkeys(("arn", "ownerId", "pendingConfirmation", "confirmationWasAuthenticated"), "nothing")
    empty = {"filterPolicyScope": ""}
    identity = "{out[SubscriptionArn]}"
    key = {"SubscriptionArn": "{id}"}
    create_call = "subscribe"
    create_extra = {"ReturnSubscriptionArn": True}
    get_call, set_call = "get_subscription_attributes", "set_subscription_attributes"
    arn_name = "SubscriptionArn"
    delete_call = "unsubscribe"

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known) or {}
        found = real.pop("found")
        return {
            **real,
            "arn": known["id"],
            "topic": found["TopicArn"],
            "protocol": found["Protocol"],
            "endpoint": found["Endpoint"],
            "ownerId": found["Owner"],
            "pendingConfirmation": found.get("PendingConfirmation") == "true",
            "confirmationWasAuthenticated": found.get("ConfirmationWasAuthenticated") == "true",
        }

    def delete(self, aws: Aws, known: Values) -> None:
        try:
            super().delete(aws, known)
        except RefusedError as error:
            # A subscription that was never confirmed cannot be removed; AWS drops it after a while.
            if "pending confirmation" not in str(error).lower():
                raise


def default_policy(arn: str, account: str) -> str:
    """The policy a new topic has: its own account may do everything."""
    actions = (
        *("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic"),
        *("Subscribe", "ListSubscriptionsByTopic", "Publish"),
    )
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in actions],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})
