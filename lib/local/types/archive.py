"""Pulumi's assets and archives as they travel to an engine: their hash and, for a function's code, their zip."""

import base64
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

SIGNATURE = "4dabf18193072939515e22adb298388d"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"


def hashed(value: Any) -> Any:
    """The same value with a `hash` in every asset and archive, by which two of them are compared."""
    if isinstance(value, list):
        return [hashed(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get(SIGNATURE) in (ASSET, ARCHIVE):
        # Always from the content: a file may have changed since its path was written down.
        contents = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in files(value).items())
        return {**value, "hash": hashlib.sha256(json.dumps(contents).encode()).hexdigest()}
    return {key: hashed(inner) for key, inner in value.items()}


def files(value: dict[str, Any], name: str = "") -> dict[str, bytes]:
    """Every file of an asset or archive, by its path."""
    if value[SIGNATURE] == ASSET:
        # The engine leaves out a text that is empty.
        return {name: Path(value["path"]).read_bytes() if "path" in value else value.get("text", "").encode()}
    if "assets" in value:
        found: dict[str, bytes] = {}
        for key, inner in value["assets"].items():
            found |= files(inner, f"{name}/{key}" if name else key)
        return found
    path = Path(value["path"])
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        return {
            f"{name}/{rel}" if name else rel: file.read_bytes()
            for file in inside
            for rel in [file.relative_to(path).as_posix()]
        }
    with zipfile.ZipFile(path) as source:
        return {
            f"{name}/{rel}" if name else rel: source.read(rel) for rel in source.namelist() if not rel.endswith("/")
        }


def zipped(value: dict[str, Any]) -> bytes:
    """One zip, identical for identical contents: sorted, with the oldest date a zip can say."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in sorted(files(value).items()):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            target.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def code_hash(data: bytes) -> str:
    """What Lambda calls the CodeSha256 of a zip."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
