"""DynamoDB."""

from typing import Any

from lib.local.types.core import Aws, Change, Tagging, Type, Values, f, new, public, settled


class Table(Type):
    """The API nests what Pulumi keeps flat (keys, stream, recovery), and takes one kind of change per call."""

    token = "aws:dynamodb/table:Table"
    service = "dynamodb"
    inputs = {
        "name": new("TableName"),
        "hashKey": new(),
        "rangeKey": new(),
        "attributes": f("AttributeDefinitions", unordered=True),
        "billingMode": f("BillingMode", default="PROVISIONED", at="BillingModeSummary.BillingMode"),
        "readCapacity": f(),
        "writeCapacity": f(),
        "globalSecondaryIndexes": f(unordered=True),
        "localSecondaryIndexes": new(unordered=True),
        "pointInTimeRecovery": f(default={"enabled": False}),
        "serverSideEncryption": f(default={"enabled": False}),
        "ttl": f(default={"enabled": False}),
        "streamEnabled": f(default=False),
        "streamViewType": f(),
        "tableClass": f("TableClass", at="TableClassSummary.TableClass", default="STANDARD"),
        "deletionProtectionEnabled": f("DeletionProtectionEnabled", default=False),
        "tags": f("Tags"),
    }
    outputs = {
        "arn": "TableArn",
        "streamArn": "LatestStreamArn",
        "streamLabel": "LatestStreamLabel",
        "streamViewType": "StreamSpecification.StreamViewType",
        "readCapacity": "ProvisionedThroughput.ReadCapacityUnits",
        "writeCapacity": "ProvisionedThroughput.WriteCapacityUnits",
    }
    empty = {
        "streamArn": "",
        "streamLabel": "",
        "streamViewType": "",
        "readCapacity": 0,
        "writeCapacity": 0,
        "globalSecondaryIndexes": [],
        "globalTableWitness": {},
        "warmThroughput": {},
    }
    moving = frozenset({"streamArn", "streamLabel"})
    identity = "{name}"
    name = "name"
    key = {"TableName": "{id}"}
    create_call = "create_table"
    read_call = "describe_table"
    read_at = "Table"
    delete_call = "delete_table"
    tagging = Tagging("list_tags_of_resource", "tag_resource", "untag_resource", "ResourceArn")
    rename = {"name": "AttributeName", "type": "AttributeType"}

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        params = super().request(aws, operation, inputs, only)
        if operation == self.create_call:
            params |= specification(inputs)
        return params

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        aws.client(self.service).get_waiter("table_exists").wait(
            TableName=resource_id, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
        )
        self._extras(aws, resource_id, inputs, frozenset(inputs) & {"pointInTimeRecovery", "ttl"})

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        table = self.call(aws, self.read_call, TableName=known["id"])["Table"]
        keys = {entry["KeyType"]: entry["AttributeName"] for entry in table["KeySchema"]}
        recovery = self.call(aws, "describe_continuous_backups", TableName=known["id"])["ContinuousBackupsDescription"]
        recovery = recovery.get("PointInTimeRecoveryDescription", {})
        ttl = self.call(aws, "describe_time_to_live", TableName=known["id"])["TimeToLiveDescription"]
        encryption = table.get("SSEDescription", {})
        return {
            **real,
            "hashKey": keys["HASH"],
            "rangeKey": keys.get("RANGE"),
            "billingMode": real.get("billingMode", "PROVISIONED"),
            "pointInTimeRecovery": {
                "enabled": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
                "recoveryPeriodInDays": recovery.get("RecoveryPeriodInDays", 0),
            },
            "serverSideEncryption": {
                "enabled": encryption.get("Status") == "ENABLED",
                "kmsKeyArn": encryption.get("KMSMasterKeyArn", ""),
            },
            "ttl": {
                "enabled": ttl.get("TimeToLiveStatus") == "ENABLED",
                "attributeName": ttl.get("AttributeName", ""),
            },
            "streamEnabled": table.get("StreamSpecification", {}).get("StreamEnabled", False),
            "globalSecondaryIndexes": [flat_index(i, capacity=True) for i in table.get("GlobalSecondaryIndexes", [])],
            "localSecondaryIndexes": [flat_index(i) for i in table.get("LocalSecondaryIndexes", [])],
        }

    def update(self, aws: Aws, change: Change) -> None:
        name = change.known["id"]
        wanted = specification(change.news)
        settings: Values = {}
        if change.changed & {"billingMode", "readCapacity", "writeCapacity"}:
            settings["BillingMode"] = change.news.get("billingMode", "PROVISIONED")
            if "ProvisionedThroughput" in wanted:
                settings["ProvisionedThroughput"] = wanted["ProvisionedThroughput"]
        if change.changed & {"streamEnabled", "streamViewType"}:
            settings["StreamSpecification"] = wanted.get("StreamSpecification", {"StreamEnabled": False})
        if "serverSideEncryption" in change.changed:
            settings["SSESpecification"] = wanted.get("SSESpecification", {"Enabled": False})
        if "tableClass" in change.changed:
            settings["TableClass"] = change.news.get("tableClass", "STANDARD")
        if "deletionProtectionEnabled" in change.changed:
            settings["DeletionProtectionEnabled"] = change.news.get("deletionProtectionEnabled", False)
        if settings:
            self.call(aws, "update_table", TableName=name, **settings)
        if "globalSecondaryIndexes" in change.changed:
            self._reindex(aws, name, change.olds, change.news)
        self._extras(aws, name, change.news, change.changed & {"pointInTimeRecovery", "ttl"})

    def _reindex(self, aws: Aws, name: str, olds: Values, news: Values) -> None:
        """DynamoDB takes one index change per call; one that differs is deleted and made anew."""
        before = {index["name"]: index for index in olds.get("globalSecondaryIndexes") or []}
        after = {index["name"]: index for index in news.get("globalSecondaryIndexes") or []}
        attributes = super().request(aws, self.create_call, news, frozenset({"attributes"}))
        for gone in (index for index in before if before[index] != after.get(index)):
            self.call(
                aws, "update_table", TableName=name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": gone}}]
            )
        for index in (index for name_, index in after.items() if index != before.get(name_)):
            update = [{"Create": nested_index(index, provisioned=news.get("billingMode") != "PAY_PER_REQUEST")}]
            self.call(aws, "update_table", TableName=name, GlobalSecondaryIndexUpdates=update, **attributes)

    def _extras(self, aws: Aws, name: str, inputs: Values, which: frozenset[str]) -> None:
        if "pointInTimeRecovery" in which:
            recovery = inputs.get("pointInTimeRecovery") or {"enabled": False}
            specification_ = {"PointInTimeRecoveryEnabled": recovery["enabled"]}
            if recovery.get("recoveryPeriodInDays"):
                specification_["RecoveryPeriodInDays"] = int(recovery["recoveryPeriodInDays"])
            self.call(aws, "update_continuous_backups", TableName=name, PointInTimeRecoverySpecification=specification_)
        if "ttl" in which:
            ttl = inputs.get("ttl") or {"enabled": False}
            current = self.call(aws, "describe_time_to_live", TableName=name)["TimeToLiveDescription"]
            if (current.get("TimeToLiveStatus") == "ENABLED") != ttl.get("enabled", False):
                attribute = ttl.get("attributeName") or current.get("AttributeName")
                wanted = {"Enabled": ttl.get("enabled", False), "AttributeName": attribute}
                self.call(aws, "update_time_to_live", TableName=name, TimeToLiveSpecification=wanted)


def specification(inputs: Values) -> Values:
    """What CreateTable nests."""
    given = public(settled(inputs))
    provisioned = given.get("billingMode", "PROVISIONED") == "PROVISIONED"
    params: Values = {}
    if "hashKey" in given:
        params["KeySchema"] = key_schema(given)
    if provisioned and "readCapacity" in given:
        params["ProvisionedThroughput"] = throughput(given)
    if given.get("streamEnabled"):
        params["StreamSpecification"] = {
            "StreamEnabled": True,
            "StreamViewType": given.get("streamViewType", "NEW_AND_OLD_IMAGES"),
        }
    if encryption := given.get("serverSideEncryption"):
        params["SSESpecification"] = {"Enabled": encryption["enabled"]}
        if encryption.get("kmsKeyArn"):
            params["SSESpecification"] |= {"SSEType": "KMS", "KMSMasterKeyId": encryption["kmsKeyArn"]}
    if indexes := given.get("globalSecondaryIndexes"):
        params["GlobalSecondaryIndexes"] = [nested_index(index, provisioned=provisioned) for index in indexes]
    if indexes := given.get("localSecondaryIndexes"):
        params["LocalSecondaryIndexes"] = [
            nested_index({"hashKey": given.get("hashKey"), **index}) for index in indexes
        ]
    return params


def key_schema(keys: Values) -> list[dict[str, str]]:
    schema = [{"AttributeName": keys["hashKey"], "KeyType": "HASH"}]
    return schema + ([{"AttributeName": keys["rangeKey"], "KeyType": "RANGE"}] if keys.get("rangeKey") else [])


def throughput(values: Values) -> dict[str, int]:
    return {"ReadCapacityUnits": int(values["readCapacity"]), "WriteCapacityUnits": int(values["writeCapacity"])}


def nested_index(index: Values, *, provisioned: bool = False) -> Values:
    projection: dict[str, Any] = {"ProjectionType": index["projectionType"]}
    if index.get("nonKeyAttributes"):
        projection["NonKeyAttributes"] = index["nonKeyAttributes"]
    nested = {"IndexName": index["name"], "KeySchema": key_schema(index), "Projection": projection}
    if provisioned and "readCapacity" in index:
        nested["ProvisionedThroughput"] = throughput(index)
    return nested


def flat_index(index: Values, *, capacity: bool = False) -> Values:
    keys = {entry["KeyType"]: entry["AttributeName"] for entry in index["KeySchema"]}
    flat = {
        "name": index["IndexName"],
        "rangeKey": keys.get("RANGE"),
        "projectionType": index["Projection"]["ProjectionType"],
    }
    if capacity:
        flat["hashKey"] = keys["HASH"]
    if index["Projection"].get("NonKeyAttributes"):
        flat["nonKeyAttributes"] = index["Projection"]["NonKeyAttributes"]
    return {key: value for key, value in flat.items() if value is not None}
