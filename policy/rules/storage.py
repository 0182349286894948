"""S3 buckets."""

from __future__ import annotations

from collections.abc import Iterator

from lib.plan.recorder import Recorded
from policy.model import View, conditions, listed, principals, rule, statements

CONTROLS = "https://docs.aws.amazon.com/securityhub/latest/userguide/s3-controls.html"
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


@rule(
    "bucket-private",
    "critical",
    "s3:Bucket",
    whole_stack=True,
    reason="One wrong ACL or policy later makes the bucket public; the block refuses both.",
    link=f"{CONTROLS}#s3-8",
    fix="Give the bucket a BucketPublicAccessBlock with all four settings.",
)
def private(bucket: Recorded, view: View) -> Iterator[str]:
    blocks = view.about(bucket, "bucket", "s3:BucketPublicAccessBlock")
    off = [key for key in _BLOCKS if not any(block.inputs.get(key) is True for block in blocks)]
    if off:
        yield f"public access is not blocked: {', '.join(off)}"
    if str(bucket.inputs.get("acl", "private")).startswith(("public", "authenticated")):
        yield "its ACL is public"


@rule(
    "bucket-encrypted",
    "high",
    "s3:Bucket",
    whole_stack=True,
    reason="Encryption that is said is encryption that a change of defaults or a wrong edit can't take away unseen.",
    link=f"{CONTROLS}#s3-17",
    fix="Give the bucket a BucketServerSideEncryptionConfiguration.",
)
def encrypted(bucket: Recorded, view: View) -> Iterator[str]:
    if not view.about(bucket, "bucket", "s3:BucketServerSideEncryptionConfiguration"):
        yield "it has no encryption configuration"


@rule(
    "bucket-tls-only",
    "medium",
    "s3:Bucket",
    whole_stack=True,
    reason="What is sent over plain HTTP can be read and changed on its way.",
    link=f"{CONTROLS}#s3-5",
    fix="Deny s3:* where aws:SecureTransport is false, in the bucket's policy.",
)
def tls_only(bucket: Recorded, view: View) -> Iterator[str]:
    said = [s for policy in view.about(bucket, "bucket", "s3:BucketPolicy") for s in statements(policy, "policy")]
    if not any(
        statement.get("Effect") == "Deny"
        and {"s3:*", "*"} & set(listed(statement.get("Action")))
        and ("AWS", "*") in principals(statement)
        and str(conditions(statement).get("aws:securetransport")).lower() == "false"
        for statement in said
    ):
        yield "it can be used without TLS"


@rule(
    "bucket-policy-not-public",
    "critical",
    "s3:BucketPolicy",
    reason="A policy that allows everyone publishes the bucket.",
    link=f"{CONTROLS}#s3-2",
    fix="Name who is allowed.",
)
def policy_not_public(policy: Recorded, _view: View) -> Iterator[str]:
    for statement in statements(policy, "policy"):
        if statement.get("Effect") == "Allow" and not conditions(statement) and ("AWS", "*") in principals(statement):
            yield "everyone is allowed"


@rule(
    "bucket-kept",
    "high",
    "s3:Bucket",
    reason="A destroy must not take production's data with it.",
    link=f"{CONTROLS}#s3-20",
    fix="Set force_destroy only outside production.",
)
def kept(bucket: Recorded, view: View) -> Iterator[str]:
    if view.production and bucket.inputs.get("forceDestroy") is True:
        yield "a destroy empties it, in production"
