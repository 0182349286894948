"""EC2's networks: everything is described by a list of identifiers, and tags are a call of their own."""

from typing import Any

from lib.local.types.core import Aws, Change, Tagging, Type, UnknownInputError, Values, f, new, settled

ANYWHERE = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


class Networking(Type):
    """A type whose identifier goes into a list, and whose tags are given in a specification of their kind."""

    service = "ec2"
    kind: str
    ids: str
    tagging = Tagging("describe_tags", "create_tags", "delete_tags", "Resources")
    tag_target = "{id}"

    def named(self, aws: Aws, known: Values) -> Values:  # noqa: ARG002
        return {self.ids: [known["id"]]}

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        params = super().request(aws, operation, inputs, only)
        if operation == self.create_call and isinstance(inputs.get("tags"), dict) and inputs["tags"]:
            tags = Tagging("", "", "", "").encode(inputs["tags"])
            params["TagSpecifications"] = [{"ResourceType": self.kind, "Tags": tags}]
        return params

    def tags(self, aws: Aws, known: Values) -> dict[str, str]:
        filters = [{"Name": "resource-id", "Values": [known["id"]]}]
        found = self.call(aws, "describe_tags", Filters=filters)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def retag(self, aws: Aws, known: Values, olds: Any, news: Any) -> None:
        if gone := sorted(set(olds) - set(news)):
            self.call(aws, "delete_tags", Resources=[known["id"]], Tags=[{"Key": key} for key in gone])
        if news:
            tags = [{"Key": key, "Value": value} for key, value in news.items()]
            self.call(aws, "create_tags", Resources=[known["id"]], Tags=tags)


class Vpc(Networking):
    token = "aws:ec2/vpc:Vpc"
    kind, ids = "vpc", "VpcIds"
    inputs = {
        "cidrBlock": new("CidrBlock"),
        "instanceTenancy": f("InstanceTenancy", default="default"),
        "enableDnsHostnames": f(default=False),
        "enableDnsSupport": f(default=True),
        "tags": f(at="Tags"),
    }
    outputs = {
        "arn": "arn:{partition}:ec2:{region}:{account}:vpc/{id}",
        "dhcpOptionsId": "DhcpOptionsId",
        "ownerId": "OwnerId",
        **dict.fromkeys(
            ("defaultNetworkAclId", "defaultRouteTableId", "defaultSecurityGroupId", "mainRouteTableId"), "nothing"
        ),
        **dict.fromkeys(("ipv6AssociationId", "ipv6CidrBlock", "ipv6CidrBlockNetworkBorderGroup"), "nothing"),
        "enableNetworkAddressUsageMetrics": "nothing",
    }
    empty = {
        "dhcpOptionsId": "",
        "ipv6AssociationId": "",
        "ipv6CidrBlock": "",
        "ipv6CidrBlockNetworkBorderGroup": "",
        "enableNetworkAddressUsageMetrics": False,
    }
    identity = "{out[Vpc][VpcId]}"
    key = {"VpcId": "{id}"}
    create_call = "create_vpc"
    read_call = "describe_vpcs"
    read_at = "Vpcs[0]"
    delete_call = "delete_vpc"

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        given = frozenset(inputs) & {"enableDnsHostnames", "enableDnsSupport"}
        self.update(aws, Change({**inputs, "id": resource_id}, {}, inputs, given))

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        mine = [{"Name": "vpc-id", "Values": [known["id"]]}]
        tables = self.call(aws, "describe_route_tables", Filters=mine)["RouteTables"]
        main = next(t["RouteTableId"] for t in tables if any(a.get("Main") for a in t.get("Associations", [])))
        groups = self.call(aws, "describe_security_groups", Filters=mine)["SecurityGroups"]
        acls = self.call(aws, "describe_network_acls", Filters=mine)["NetworkAcls"]
        attributes = {
            ours: self.call(aws, "describe_vpc_attribute", VpcId=known["id"], Attribute=ours)[api]["Value"]
            for ours, api in (("enableDnsHostnames", "EnableDnsHostnames"), ("enableDnsSupport", "EnableDnsSupport"))
        }
        return {
            **real,
            **attributes,
            "mainRouteTableId": main,
            "defaultRouteTableId": main,
            "defaultSecurityGroupId": next(g["GroupId"] for g in groups if g["GroupName"] == "default"),
            "defaultNetworkAclId": next(a["NetworkAclId"] for a in acls if a["IsDefault"]),
        }

    def update(self, aws: Aws, change: Change) -> None:
        for key, api in (("enableDnsHostnames", "EnableDnsHostnames"), ("enableDnsSupport", "EnableDnsSupport")):
            if key in change.changed:
                value = change.news.get(key, self.inputs[key].default)
                self.call(aws, "modify_vpc_attribute", VpcId=change.known["id"], **{api: {"Value": value}})

    def delete(self, aws: Aws, known: Values) -> None:
        self.call(aws, self.delete_call, VpcId=known["id"])


class Subnet(Networking):
    token = "aws:ec2/subnet:Subnet"
    kind, ids = "subnet", "SubnetIds"
    inputs = {
        "vpcId": new("VpcId"),
        "cidrBlock": new("CidrBlock"),
        "availabilityZone": new("AvailabilityZone"),
        "availabilityZoneId": new("AvailabilityZoneId"),
        "mapPublicIpOnLaunch": f(at="MapPublicIpOnLaunch", default=False),
        "tags": f(at="Tags"),
    }
    outputs = {
        "arn": "arn:{partition}:ec2:{region}:{account}:subnet/{id}",
        "ownerId": "OwnerId",
        "ipv6CidrBlock": "nothing",
        "ipv6CidrBlockAssociationId": "nothing",
        "privateDnsHostnameTypeOnLaunch": "PrivateDnsNameOptionsOnLaunch.HostnameType",
    }
    empty = {
        "availabilityZoneId": "",
        "ipv6CidrBlock": "",
        "ipv6CidrBlockAssociationId": "",
        "privateDnsHostnameTypeOnLaunch": "ip-name",
    }
    identity = "{out[Subnet][SubnetId]}"
    create_call = "create_subnet"
    read_call = "describe_subnets"
    read_at = "Subnets[0]"
    delete_call = "delete_subnet"

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        given = frozenset(inputs) & {"mapPublicIpOnLaunch"}
        self.update(aws, Change({**inputs, "id": resource_id}, {}, inputs, given))

    def update(self, aws: Aws, change: Change) -> None:
        if "mapPublicIpOnLaunch" in change.changed:
            value = {"Value": change.news.get("mapPublicIpOnLaunch", False)}
            self.call(aws, "modify_subnet_attribute", SubnetId=change.known["id"], MapPublicIpOnLaunch=value)

    def delete(self, aws: Aws, known: Values) -> None:
        self.call(aws, self.delete_call, SubnetId=known["id"])


class RouteTable(Networking):
    token = "aws:ec2/routeTable:RouteTable"
    kind, ids = "route-table", "RouteTableIds"
    inputs = {"vpcId": new("VpcId"), "tags": f(at="Tags")}
    outputs = {
        "arn": "arn:{partition}:ec2:{region}:{account}:route-table/{id}",
        "ownerId": "OwnerId",
        "propagatingVgws": "PropagatingVgws[].GatewayId",
        "routes": "nothing",
    }
    empty = {"propagatingVgws": [], "routes": []}
    identity = "{out[RouteTable][RouteTableId]}"
    create_call = "create_route_table"
    read_call = "describe_route_tables"
    read_at = "RouteTables[0]"
    delete_call = "delete_route_table"

    def delete(self, aws: Aws, known: Values) -> None:
        self.call(aws, self.delete_call, RouteTableId=known["id"])


class RouteTableAssociation(Type):
    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    service = "ec2"
    inputs = {"routeTableId": new("RouteTableId"), "subnetId": new("SubnetId"), "gatewayId": new("GatewayId")}
    identity = "{out[AssociationId]}"
    create_call = "associate_route_table"
    read_call = "describe_route_tables"
    delete_call = "disassociate_route_table"
    delete_first = True

    def read(self, aws: Aws, known: Values) -> Values | None:
        tables = self.call(aws, self.read_call, RouteTableIds=[known["routeTableId"]])["RouteTables"]
        for association in tables[0].get("Associations", []) if tables else []:
            if association["RouteTableAssociationId"] == known["id"]:
                found = {"routeTableId": association["RouteTableId"], "subnetId": association.get("SubnetId")}
                return {**found, "gatewayId": association.get("GatewayId")}
        return None

    def delete(self, aws: Aws, known: Values) -> None:
        self.call(aws, self.delete_call, AssociationId=known["id"])


class SecurityGroup(Networking):
    """Terraform takes AWS's "anything may leave" away from every new group, so a group says all that it allows."""

    token = "aws:ec2/securityGroup:SecurityGroup"
    kind, ids = "security-group", "GroupIds"
    inputs = {
        "name": new("GroupName"),
        "description": new("Description", default="Managed by Pulumi"),
        "vpcId": new("VpcId"),
        "ingress": f(unordered=True),
        "egress": f(unordered=True),
        "revokeRulesOnDelete": f(default=False),
        "tags": f(at="Tags"),
    }
    outputs = {
        "arn": "arn:{partition}:ec2:{region}:{account}:security-group/{id}",
        "ownerId": "OwnerId",
        "namePrefix": "nothing",
    }
    empty = {"namePrefix": "", "ingress": [], "egress": []}
    identity = "{out[GroupId]}"
    name = "name"
    create_call = "create_security_group"
    read_call = "describe_security_groups"
    read_at = "SecurityGroups[0]"
    delete_call = "delete_security_group"

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        for way in ("ingress", "egress"):
            for each in settled(inputs).get(way) or []:
                if unknown := set(each) - RULE:
                    raise UnknownInputError(self.token, f"{way}.{unknown.pop()}", sorted(RULE))
        return super().request(aws, operation, {"description": "Managed by Pulumi", **inputs}, only)

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        self.call(aws, "revoke_security_group_egress", GroupId=resource_id, IpPermissions=[ANYWHERE])
        given = frozenset(inputs) & {"ingress", "egress"}
        self.update(aws, Change({**inputs, "id": resource_id}, {}, inputs, given))

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        group = self.call(aws, self.read_call, GroupIds=[known["id"]])["SecurityGroups"][0]
        ingress, egress = group.get("IpPermissions", []), group.get("IpPermissionsEgress", [])
        return {**real, "ingress": [rule(p) for p in ingress], "egress": [rule(p) for p in egress]}

    def update(self, aws: Aws, change: Change) -> None:
        for way in sorted(change.changed & {"ingress", "egress"}):
            before, after = ([permission(r) for r in each.get(way) or []] for each in (change.olds, change.news))
            group = change.known["id"]
            if gone := [each for each in before if each not in after]:
                self.call(aws, f"revoke_security_group_{way}", GroupId=group, IpPermissions=gone)
            if added := [each for each in after if each not in before]:
                self.call(aws, f"authorize_security_group_{way}", GroupId=group, IpPermissions=added)

    def delete(self, aws: Aws, known: Values) -> None:
        self.call(aws, self.delete_call, GroupId=known["id"])


RULE = {
    *("protocol", "fromPort", "toPort", "description"),
    *("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups"),
}


def permission(rule: Values) -> Values:
    """A rule as EC2 nests it."""
    described = {"Description": rule["description"]} if rule.get("description") else {}
    lists = {
        "IpRanges": [{"CidrIp": cidr, **described} for cidr in rule.get("cidrBlocks") or []],
        "Ipv6Ranges": [{"CidrIpv6": cidr, **described} for cidr in rule.get("ipv6CidrBlocks") or []],
        "PrefixListIds": [{"PrefixListId": entry, **described} for entry in rule.get("prefixListIds") or []],
        "UserIdGroupPairs": [{"GroupId": group, **described} for group in rule.get("securityGroups") or []],
    }
    ports = {} if str(rule["protocol"]) == "-1" else {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    return {"IpProtocol": str(rule["protocol"]), **ports, **{key: value for key, value in lists.items() if value}}


def rule(permission: Values) -> Values:
    """EC2's permission as the flat rule it came from."""
    flat: Values = {
        "protocol": permission["IpProtocol"],
        "fromPort": permission.get("FromPort", 0),
        "toPort": permission.get("ToPort", 0),
        "cidrBlocks": [entry["CidrIp"] for entry in permission.get("IpRanges", [])],
        "ipv6CidrBlocks": [entry["CidrIpv6"] for entry in permission.get("Ipv6Ranges", [])],
        "prefixListIds": [entry["PrefixListId"] for entry in permission.get("PrefixListIds", [])],
        "securityGroups": [entry["GroupId"] for entry in permission.get("UserIdGroupPairs", [])],
    }
    sources = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
    texts = {e["Description"] for key in sources for e in permission.get(key, []) if e.get("Description")}
    return {
        **{key: value for key, value in flat.items() if value != []},
        **({"description": texts.pop()} if texts else {}),
    }


class SecurityGroupRule(Networking):
    """One rule of a group, with an identifier of its own; `way` is the direction."""

    kind, ids = "security-group-rule", "SecurityGroupRuleIds"
    way: str
    inputs = {
        "securityGroupId": new("GroupId"),
        **dict.fromkeys(("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId"), f()),
        **dict.fromkeys(("ipProtocol", "fromPort", "toPort"), f()),
        "description": f(default=""),
        "tags": f(at="Tags"),
    }
    outputs = {
        "arn": "arn:{partition}:ec2:{region}:{account}:security-group-rule/{id}",
        "securityGroupRuleId": "SecurityGroupRuleId",
    }
    identity = "{out[SecurityGroupRules][0][SecurityGroupRuleId]}"
    read_call = "describe_security_group_rules"
    read_at = "SecurityGroupRules[0]"

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        params = super().request(aws, operation, inputs, only)
        inputs = settled(inputs)
        if "ipProtocol" not in inputs:
            return params
        flat = {
            "protocol": inputs["ipProtocol"],
            "fromPort": inputs.get("fromPort", -1),
            "toPort": inputs.get("toPort", -1),
        }
        target = {
            "cidrBlocks": inputs.get("cidrIpv4"),
            "ipv6CidrBlocks": inputs.get("cidrIpv6"),
            "prefixListIds": inputs.get("prefixListId"),
            "securityGroups": inputs.get("referencedSecurityGroupId"),
        }
        known = {key: [value] for key, value in target.items() if isinstance(value, str)}
        return {**params, "IpPermissions": [permission({**flat, **known, "description": inputs.get("description")})]}

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        found = self.call(aws, self.read_call, SecurityGroupRuleIds=[known["id"]])["SecurityGroupRules"][0]
        ports = {key: found.get(api) for key, api in (("fromPort", "FromPort"), ("toPort", "ToPort"))}
        return {
            **real,
            **{key: value for key, value in ports.items() if value not in (None, -1)},
            "securityGroupId": found["GroupId"],
            "ipProtocol": found["IpProtocol"],
            "cidrIpv4": found.get("CidrIpv4"),
            "cidrIpv6": found.get("CidrIpv6"),
            "prefixListId": found.get("PrefixListId"),
            "referencedSecurityGroupId": found.get("ReferencedGroupInfo", {}).get("GroupId"),
            "description": found.get("Description") or None,
        }

    def update(self, aws: Aws, change: Change) -> None:
        wanted = {
            "IpProtocol": str(change.news["ipProtocol"]),
            "FromPort": int(change.news.get("fromPort", -1)),
            "ToPort": int(change.news.get("toPort", -1)),
            "CidrIpv4": change.news.get("cidrIpv4"),
            "CidrIpv6": change.news.get("cidrIpv6"),
            "PrefixListId": change.news.get("prefixListId"),
            "ReferencedGroupId": change.news.get("referencedSecurityGroupId"),
            "Description": change.news.get("description"),
        }
        new_rule = {key: value for key, value in wanted.items() if value is not None}
        rules = [{"SecurityGroupRuleId": change.known["id"], "SecurityGroupRule": new_rule}]
        group = change.known["securityGroupId"]
        self.call(aws, "modify_security_group_rules", GroupId=group, SecurityGroupRules=rules)

    def delete(self, aws: Aws, known: Values) -> None:
        rules = [known["id"]]
        self.call(aws, self.delete_call, GroupId=known["securityGroupId"], SecurityGroupRuleIds=rules)


class SecurityGroupEgressRule(SecurityGroupRule):
    token = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    create_call = "authorize_security_group_egress"
    delete_call = "revoke_security_group_egress"


class SecurityGroupIngressRule(SecurityGroupRule):
    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    create_call = "authorize_security_group_ingress"
    delete_call = "revoke_security_group_ingress"


class VpcEndpoint(Networking):
    token = "aws:ec2/vpcEndpoint:VpcEndpoint"
    kind, ids = "vpc-endpoint", "VpcEndpointIds"
    inputs = {
        "vpcId": new("VpcId"),
        "serviceName": new("ServiceName"),
        "vpcEndpointType": new("VpcEndpointType", default="Gateway"),
        "policy": f("PolicyDocument", json=True),
        "routeTableIds": f("RouteTableIds", unordered=True),
        "subnetIds": f("SubnetIds", unordered=True),
        "securityGroupIds": f("SecurityGroupIds", at="Groups[].GroupId", unordered=True),
        "privateDnsEnabled": f("PrivateDnsEnabled", default=False),
        "tags": f(at="Tags"),
    }
    outputs = {
        "arn": "arn:{partition}:ec2:{region}:{account}:vpc-endpoint/{id}",
        "state": "State",
        "ownerId": "OwnerId",
        "networkInterfaceIds": "NetworkInterfaceIds",
        "requesterManaged": "RequesterManaged",
        "ipAddressType": "IpAddressType",
        **dict.fromkeys(("prefixListId", "cidrBlocks", "dnsEntries", "dnsOptions"), "nothing"),
        **dict.fromkeys(("serviceRegion", "subnetConfigurations"), "nothing"),
    }
    empty = {
        "ownerId": "",
        "networkInterfaceIds": [],
        "requesterManaged": False,
        "ipAddressType": "",
        "prefixListId": "",
        "cidrBlocks": [],
        "dnsEntries": [],
        "dnsOptions": {},
        "serviceRegion": "",
        "subnetConfigurations": [],
        "policy": "",
        "routeTableIds": [],
        "subnetIds": [],
        "securityGroupIds": [],
        "privateDnsEnabled": False,
    }
    identity = "{out[VpcEndpoint][VpcEndpointId]}"
    create_call = "create_vpc_endpoint"
    read_call = "describe_vpc_endpoints"
    read_at = "VpcEndpoints[0]"
    update_call = "modify_vpc_endpoint"
    delete_call = "delete_vpc_endpoints"

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        if real.get("vpcEndpointType", "Gateway") == "Gateway":
            lists = self.call(aws, "describe_prefix_lists")["PrefixLists"]
            found = next((each for each in lists if each["PrefixListName"] == real["serviceName"]), None)
            if found:
                real |= {"prefixListId": found["PrefixListId"], "cidrBlocks": found.get("Cidrs", [])}
        return {**real, "serviceRegion": aws.region}

    def update(self, aws: Aws, change: Change) -> None:
        request: Values = {}
        for key, add, remove in (
            ("routeTableIds", "AddRouteTableIds", "RemoveRouteTableIds"),
            ("subnetIds", "AddSubnetIds", "RemoveSubnetIds"),
            ("securityGroupIds", "AddSecurityGroupIds", "RemoveSecurityGroupIds"),
        ):
            before, after = (set(each.get(key) or []) for each in (change.olds, change.news))
            request |= {add: sorted(after - before)} if after - before else {}
            request |= {remove: sorted(before - after)} if before - after else {}
        if "policy" in change.changed:
            policy = change.news.get("policy")
            request |= {"PolicyDocument": policy} if policy else {"ResetPolicy": True}
        if "privateDnsEnabled" in change.changed:
            request["PrivateDnsEnabled"] = change.news.get("privateDnsEnabled", False)
        if request:
            self.call(aws, self.update_call, VpcEndpointId=change.known["id"], **request)


class FlowLog(Networking):
    token = "aws:ec2/flowLog:FlowLog"
    kind, ids = "vpc-flow-log", "FlowLogIds"
    inputs = {
        "vpcId": new(),
        "subnetId": new(),
        "eniId": new(),
        "trafficType": new("TrafficType"),
        "iamRoleArn": new("DeliverLogsPermissionArn"),
        "logDestination": new("LogDestination"),
        "logDestinationType": new("LogDestinationType", default="cloud-watch-logs"),
        "logFormat": new("LogFormat"),
        "maxAggregationInterval": new("MaxAggregationInterval", default=600),
        "tags": f(at="nothing"),
    }
    outputs = {"arn": "arn:{partition}:ec2:{region}:{account}:vpc-flow-log/{id}"}
    empty = {"logDestination": "", "logFormat": ""}
    identity = "{out[FlowLogIds][0]}"
    create_call = "create_flow_logs"
    read_call = "describe_flow_logs"
    read_at = "FlowLogs[0]"
    delete_call = "delete_flow_logs"

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        params = super().request(aws, operation, inputs, only)
        for key, kind in FLOWS.items():
            if isinstance(inputs.get(key), str):
                params |= {"ResourceIds": [inputs[key]], "ResourceType": kind}
        return params

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        # The emulator ignores the tags of the create call.
        self.retag(aws, {"id": resource_id}, {}, inputs.get("tags") or {})

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        target = self.call(aws, self.read_call, **self.named(aws, known))["FlowLogs"][0]["ResourceId"]
        kind = next(key for key in FLOWS if target.startswith(FLOW_PREFIXES[key]))
        return {**real, kind: target}


FLOWS = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
FLOW_PREFIXES = {"vpcId": "vpc-", "subnetId": "subnet-", "eniId": "eni-"}
