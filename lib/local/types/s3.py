"""S3: a bucket, and what is configured on one, each of them a put, a get and a delete."""

import json
from typing import Any

from lib.local.types.core import Aws, Change, RefusedError, ResourceError, Type, Values, f, facts, new

# https://docs.aws.amazon.com/general/latest/gr/s3.html#s3_website_region_endpoints
HOSTED_ZONES = {
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-east-2": "Z2O1EMRO9K5GLX",
    "us-west-1": "Z2F56UZL2M1ACD",
    "us-west-2": "Z3BJ6K6RIION7M",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-central-1": "Z21DNDUVLTQW6Q",
}


class Bucket(Type):
    token = "aws:s3/bucket:Bucket"
    service = "s3"
    inputs = {"bucket": new("Bucket"), "forceDestroy": f(default=False), "tags": f()}
    outputs = {
        "arn": "arn:{partition}:s3:::{id}",
        "bucketDomainName": "{id}.s3.amazonaws.com",
        "bucketRegionalDomainName": "{id}.s3.{region}.amazonaws.com",
        "bucketRegion": "{region}",
        "hostedZoneId": "nothing",
        "tagsAll": "nothing",
    }
    # What is configured by resources of its own is empty here, as the real provider has it until a refresh.
    empty = {
        **dict.fromkeys(("accelerationStatus", "acl", "bucketPrefix", "policy"), ""),
        **dict.fromkeys(("websiteDomain", "websiteEndpoint"), ""),
        **{key: [] for key in ("corsRules", "grants", "lifecycleRules")},
        **{key: {} for key in ("logging", "objectLockConfiguration", "replicationConfiguration")},
        **{key: {} for key in ("serverSideEncryptionConfiguration", "versioning", "website")},
        "bucketNamespace": "global",
        "hostedZoneId": "",
        "objectLockEnabled": False,
        "requestPayer": "BucketOwner",
        "tagsAll": {},
    }
    identity = "{bucket}"
    name = "bucket"
    key = {"Bucket": "{id}"}
    create_call = "create_bucket"
    read_call = "head_bucket"
    delete_call = "delete_bucket"

    def unique_name(self, name: str) -> str:
        return super().unique_name(name).lower()

    def create(self, aws: Aws, inputs: Values) -> str:
        # AWS answers in us-east-1 as if it had made a bucket that was there already; the real provider looks first.
        name: str = inputs["bucket"]
        try:
            self.call(aws, self.read_call, Bucket=name)
        except RefusedError as error:
            if not error.gone:
                raise
        else:
            raise ResourceError(f"CreateBucket: BucketAlreadyExists: the bucket {name} exists already")
        place = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
        self.call(aws, self.create_call, Bucket=name, **place)
        return name

    def created(self, aws: Aws, resource_id: str, inputs: Values) -> None:
        if inputs.get("tags"):
            self._tag(aws, resource_id, inputs["tags"])

    def read(self, aws: Aws, known: Values) -> Values | None:
        self.call(aws, self.read_call, Bucket=known["id"])
        try:
            tags = self.call(aws, "get_bucket_tagging", Bucket=known["id"])["TagSet"]
        except RefusedError as error:
            if error.code != "NoSuchTagSet":
                raise
            tags = []
        values = {"id": known["id"], **facts(aws)}
        words = {key: where.format_map(values) for key, where in self.outputs.items()}
        found = {tag["Key"]: tag["Value"] for tag in tags}
        zone = HOSTED_ZONES.get(aws.region)
        return {**words, "bucket": known["id"], "hostedZoneId": zone, "tags": found, "tagsAll": found}

    def update(self, aws: Aws, change: Change) -> None:
        """Only its tags can change, and `forceDestroy`, which is not AWS's."""

    def retag(self, aws: Aws, known: Values, olds: Any, news: Any) -> None:  # noqa: ARG002
        self._tag(aws, known["id"], news)

    def delete(self, aws: Aws, known: Values) -> None:
        if known.get("forceDestroy"):
            self._empty(aws, known["id"])
        super().delete(aws, known)

    def _tag(self, aws: Aws, bucket: str, tags: Values) -> None:
        if tags:
            wanted = [{"Key": key, "Value": value} for key, value in tags.items()]
            self.call(aws, "put_bucket_tagging", Bucket=bucket, Tagging={"TagSet": wanted})
        else:
            self.call(aws, "delete_bucket_tagging", Bucket=bucket)

    def _empty(self, aws: Aws, bucket: str) -> None:
        while True:
            page = self.call(aws, "list_object_versions", Bucket=bucket)
            entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            for entry in entries:
                self.call(aws, "delete_object", Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
            if not entries:
                return


class Configuration(Type):
    """One aspect of a bucket: the bucket's name is its identifier."""

    service = "s3"
    identity = "{bucket}"
    key = {"Bucket": "{id}"}
    around: str  # the member of the request that holds the inputs

    def request(self, aws: Aws, operation: str, inputs: Values, only: frozenset[str] | None = None) -> Values:
        shape = aws.model(self.service, self.create_call).input_shape.members[self.around]
        inside = {
            self.fields[key].at: self._to_api(value, shape.members[self.fields[key].at], key)
            for key, value in inputs.items()
            if self.fields[key].at
        }
        return {**super().request(aws, operation, inputs, only), self.around: inside}

    def translate(self, aws: Aws, operation: str, found: Values) -> Values:
        return super().translate(aws, operation, found.get(self.around, found))

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        return real and {**real, "bucket": known["id"]}

    def update(self, aws: Aws, change: Change) -> None:
        self.call(aws, self.create_call, **self.request(aws, self.create_call, change.news))


class BucketPublicAccessBlock(Configuration):
    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    inputs = {
        "bucket": new("Bucket"),
        "blockPublicAcls": f(at="BlockPublicAcls", default=False),
        "blockPublicPolicy": f(at="BlockPublicPolicy", default=False),
        "ignorePublicAcls": f(at="IgnorePublicAcls", default=False),
        "restrictPublicBuckets": f(at="RestrictPublicBuckets", default=False),
    }
    around = "PublicAccessBlockConfiguration"
    create_call = "put_public_access_block"
    read_call = "get_public_access_block"
    delete_call = "delete_public_access_block"


class BucketServerSideEncryptionConfiguration(Configuration):
    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    inputs = {"bucket": new("Bucket"), "rules": f(at="Rules", unordered=True)}
    around = "ServerSideEncryptionConfiguration"
    create_call = "put_bucket_encryption"
    read_call = "get_bucket_encryption"
    delete_call = "delete_bucket_encryption"
    rename = {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID"}


class BucketOwnershipControls(Configuration):
    token = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    inputs = {"bucket": new("Bucket"), "rule": f(at="Rules")}
    around = "OwnershipControls"
    create_call = "put_bucket_ownership_controls"
    read_call = "get_bucket_ownership_controls"
    delete_call = "delete_bucket_ownership_controls"

    def translate(self, aws: Aws, operation: str, found: Values) -> Values:
        real = super().translate(aws, operation, found)
        return {**real, "rule": real["rule"][0]}


class BucketPolicy(Type):
    token = "aws:s3/bucketPolicy:BucketPolicy"
    service = "s3"
    inputs = {"bucket": new("Bucket"), "policy": f("Policy", json=True)}
    identity = "{bucket}"
    key = {"Bucket": "{id}"}
    create_call = update_call = "put_bucket_policy"
    read_call = "get_bucket_policy"
    delete_call = "delete_bucket_policy"

    def check(self, aws: Aws, name: str, news: Values, olds: Values) -> Values:
        inputs = super().check(aws, name, news, olds)
        if isinstance(policy := inputs.get("policy"), str):
            try:
                json.loads(policy)
            except ValueError as error:
                raise ResourceError(f"{self.token}: the policy is not JSON: {error}") from None
        return inputs

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        return real and {**real, "bucket": known["id"]}
