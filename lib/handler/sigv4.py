"""AWS Signature Version 4 for any service: what botocore would sign, byte for byte, at a fraction of its instructions.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import os
import time

from lib.handler.digest import hmac_sha256, sha256

_signing_keys: dict[tuple[str, ...], bytes] = {}


class NoCredentialsError(Exception):
    """The environment holds no AWS credentials."""


def credentials() -> "tuple[str, str, str | None]":
    """Return (access key, secret key, session token or None), read afresh: Lambda and its emulators rotate them."""
    environ = os.environ
    access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        raise NoCredentialsError("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return access, secret, environ.get("AWS_SESSION_TOKEN") or None


def sign(
    method: str, path: str, headers: dict[str, str], body: bytes, *, service: str, region: str, query: str = ""
) -> dict[str, str]:
    """Return `headers` plus those that prove who is asking; the request must then be sent exactly so.

    `headers` has lower-case names and includes `host`. `path` is as sent (already percent-encoded), `query` too, its
    parameters sorted by name.
    """
    access, secret, token = credentials()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    digest = sha256(body).hexdigest()
    headers = {**headers, "x-amz-date": stamp}
    if token:
        headers["x-amz-security-token"] = token
    if service == "s3":
        headers["x-amz-content-sha256"] = digest
    elif path != "/":
        from urllib.parse import quote

        path = quote(path, safe="/~")  # every service but S3 signs the path encoded once more than it is sent
    names = sorted(headers)
    signed = ";".join(names)
    fields = "\n".join([f"{name}:{' '.join(headers[name].split())}" for name in names])
    request = f"{method}\n{path}\n{query}\n{fields}\n\n{signed}\n{digest}"
    day = stamp[:8]
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    signature = hmac_sha256(_signing_key(secret, day, region, service), text.encode()).hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
    return headers


def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    known = secret, day, region, service
    key = _signing_keys.get(known)
    if key is None:
        key = ("AWS4" + secret).encode()
        for part in (day, region, service, "aws4_request"):
            key = hmac_sha256(key, part.encode())
        if len(_signing_keys) >= 8:  # yesterday's, and rotated secrets
            _signing_keys.clear()
        _signing_keys[known] = key
    return key
