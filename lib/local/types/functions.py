"""The functions (`aws.get_...`) that programs may call."""

from collections.abc import Callable

from lib.local.types.core import Aws, ResourceError, Values

Function = Callable[[Aws, Values], Values]


def get_region(aws: Aws, args: Values) -> Values:
    region = args.get("region") or args.get("name") or aws.region
    return {
        "id": region,
        "name": region,
        "region": region,
        "description": region,
        "endpoint": f"ec2.{region}.amazonaws.com",
    }


def get_caller_identity(aws: Aws, args: Values) -> Values:  # noqa: ARG001
    answer = aws.call("sts", "get_caller_identity")
    return {"id": answer["Account"], "accountId": answer["Account"], "arn": answer["Arn"], "userId": answer["UserId"]}


def get_partition(aws: Aws, args: Values) -> Values:  # noqa: ARG001
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def get_availability_zones(aws: Aws, args: Values) -> Values:
    if unknown := set(args) - {"state", "region", "excludeZoneIds", "filters"}:
        raise ResourceError(
            f"aws:index/getAvailabilityZones:getAvailabilityZones has no argument {unknown.pop()!r} here"
        )
    aws = aws.elsewhere(args["region"]) if args.get("region") else aws
    filters = [{"Name": given["name"], "Values": given["values"]} for given in args.get("filters") or []]
    zones = aws.call("ec2", "describe_availability_zones", Filters=filters)["AvailabilityZones"]
    excluded = args.get("excludeZoneIds") or []
    zones = [z for z in zones if z["State"] == args.get("state", "available") and z["ZoneId"] not in excluded]
    return {
        "id": aws.region,
        "region": aws.region,
        "state": args.get("state"),
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone["ZoneId"] for zone in zones],
        "groupNames": sorted({zone.get("GroupName", aws.region) for zone in zones}),
    }


def get_prefix_list(aws: Aws, args: Values) -> Values:
    if unknown := set(args) - {"name", "prefixListId", "region"}:
        raise ResourceError(f"aws:ec2/getPrefixList:getPrefixList has no argument {unknown.pop()!r} here")
    aws = aws.elsewhere(args["region"]) if args.get("region") else aws
    found = aws.call("ec2", "describe_prefix_lists")["PrefixLists"]
    wanted = [
        entry
        for entry in found
        if args.get("name", entry["PrefixListName"]) == entry["PrefixListName"]
        and args.get("prefixListId", entry["PrefixListId"]) == entry["PrefixListId"]
    ]
    if len(wanted) != 1:
        raise ResourceError(
            f"no single prefix list matches {args}; there are {[entry['PrefixListName'] for entry in found]}"
        )
    return {
        "id": wanted[0]["PrefixListId"],
        "prefixListId": wanted[0]["PrefixListId"],
        "name": wanted[0]["PrefixListName"],
        "cidrBlocks": wanted[0].get("Cidrs", []),
        "region": aws.region,
    }


FUNCTIONS: dict[str, Function] = {
    "aws:index/getRegion:getRegion": get_region,
    "aws:index/getCallerIdentity:getCallerIdentity": get_caller_identity,
    "aws:index/getPartition:getPartition": get_partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": get_availability_zones,
    "aws:ec2/getPrefixList:getPrefixList": get_prefix_list,
}


def invoke(aws: Aws, token: str, args: Values) -> Values:
    if token not in FUNCTIONS:
        raise ResourceError(
            f"function {token} is not known to the embedded AWS; add it in lib/local/types/functions.py"
        )
    return FUNCTIONS[token](aws, {key: value for key, value in args.items() if value is not None})
