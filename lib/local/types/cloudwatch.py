"""CloudWatch's log groups, alarms and dashboards."""

from lib.local.types.core import Aws, Change, Tagging, Type, Values, f, new, pascal, settled


class LogGroup(Type):
    token = "aws:cloudwatch/logGroup:LogGroup"
    service = "logs"
    inputs = {
        "name": new("logGroupName"),
        "retentionInDays": f(default=0),
        "kmsKeyId": f("kmsKeyId"),
        "logGroupClass": new("logGroupClass", default="STANDARD"),
        "skipDestroy": f(default=False),
        "tags": f("tags"),
    }
    outputs = {"arn": "arn", "namePrefix": "nothing", "deletionProtectionEnabled": "deletionProtectionEnabled"}
    empty = {"namePrefix": "", "deletionProtectionEnabled": False, "logGroupClass": "STANDARD"}
    identity = "{name}"
    name = "name"
    key = {"logGroupName": "{id}"}
    create_call = "create_log_group"
    delete_call = "delete_log_group"
    tagging = Tagging(
        "list_tags_for_resource", "tag_resource", "untag_resource", "resourceArn", "tags", "tagKeys", map=True
    )

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        if inputs.get("retentionInDays"):
            self._retain(aws, resource_id, inputs)

    def read(self, aws: Aws, known: Values) -> Values | None:
        groups = self.call(aws, "describe_log_groups", logGroupNamePrefix=known["id"])["logGroups"]
        group = next((group for group in groups if group["logGroupName"] == known["id"]), None)
        if group is None:
            return None
        real = {
            **self.translate(aws, "", group),
            "arn": group["arn"].removesuffix(":*"),
            "retentionInDays": group.get("retentionInDays", 0),
            "deletionProtectionEnabled": group.get("deletionProtectionEnabled", False),
        }
        return {**real, "tags": self.tags(aws, {**known, **real})}

    def update(self, aws: Aws, change: Change) -> None:
        if "kmsKeyId" in change.changed:
            # The emulator cannot change a group's key: the group is made again, without its lines.
            self.call(aws, self.delete_call, **self.named(aws, change.known))
            self.create(aws, change.news)
            self.created(aws, change.known["id"], change.news)
        elif "retentionInDays" in change.changed:
            self._retain(aws, change.known["id"], change.news)

    def delete(self, aws: Aws, known: Values) -> None:
        if not known.get("skipDestroy"):
            super().delete(aws, known)

    def _retain(self, aws: Aws, name: str, inputs: Values) -> None:
        if days := inputs.get("retentionInDays"):
            self.call(aws, "put_retention_policy", logGroupName=name, retentionInDays=int(days))
        else:
            self.call(aws, "delete_retention_policy", logGroupName=name)


class MetricAlarm(Type):
    """An alarm on one metric. `metricQueries` is missing on purpose: the emulator forgets them without a word."""

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"
    service = "cloudwatch"
    inputs = {
        "name": new("AlarmName"),
        **pascal(
            "comparisonOperator evaluationPeriods metricName namespace period statistic extendedStatistic threshold"
        ),
        **pascal("unit alarmDescription datapointsToAlarm thresholdMetricId"),
        **pascal("alarmActions okActions insufficientDataActions", unordered=True),
        "okActions": f("OKActions", unordered=True),
        "actionsEnabled": f("ActionsEnabled", default=True),
        "treatMissingData": f("TreatMissingData", default="missing"),
        "evaluateLowSampleCountPercentiles": f("EvaluateLowSampleCountPercentile"),
        "dimensions": f(),
        "tags": f("Tags"),
    }
    outputs = {"arn": "AlarmArn"}
    empty = {"evaluateLowSampleCountPercentiles": ""}
    identity = "{name}"
    name = "name"
    key = {"AlarmNames": "{id}"}
    create_call = update_call = "put_metric_alarm"
    read_call = "describe_alarms"
    read_at = "MetricAlarms[0]"
    delete_call = "delete_alarms"
    tagging = Tagging("list_tags_for_resource", "tag_resource", "untag_resource", "ResourceARN")

    def named(self, aws: Aws, known: Values) -> Values:  # noqa: ARG002
        return {"AlarmNames": [known["id"]]}

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        params = super().request(aws, operation, inputs, only)
        if dimensions := settled(inputs).get("dimensions"):
            params["Dimensions"] = pairs(dimensions)
        return params

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        alarm = self.call(aws, self.read_call, AlarmNames=[known["id"]])["MetricAlarms"][0]
        return {
            **real,
            "dimensions": {pair["Name"]: pair["Value"] for pair in alarm.get("Dimensions", [])},
        }

    def update(self, aws: Aws, change: Change) -> None:
        request = self.request(aws, self.update_call, change.news)
        request.pop("Tags", None)  # PutMetricAlarm ignores tags of an alarm that exists
        self.call(aws, self.update_call, **request)


class Dashboard(Type):
    """PutDashboard overwrites what has the name, as the real provider does."""

    token = "aws:cloudwatch/dashboard:Dashboard"
    service = "cloudwatch"
    inputs = {"dashboardName": new("DashboardName"), "dashboardBody": f("DashboardBody", json=True)}
    outputs = {"dashboardArn": "DashboardArn"}
    identity = "{dashboardName}"
    key = {"DashboardName": "{id}"}
    create_call = update_call = "put_dashboard"
    read_call = "get_dashboard"
    delete_call = "delete_dashboards"

    def delete(self, aws: Aws, known: Values) -> None:
        self.call(aws, self.delete_call, DashboardNames=[known["id"]])


def pairs(dimensions: Values) -> list[dict[str, str]]:
    return [{"Name": name, "Value": str(value)} for name, value in sorted(dimensions.items())]
