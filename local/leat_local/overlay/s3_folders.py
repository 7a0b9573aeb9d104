"""Folders to and from S3, as SageMaker's jobs move them."""

from __future__ import annotations

import json
from pathlib import Path


class Nothing(Exception):
    """There is nothing under a URL that should hold something."""


def split(url: str) -> tuple[str, str]:
    """`s3://bucket/prefix` as (bucket, prefix); the prefix may be empty."""
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise Nothing(f'"{url}" is not s3://bucket/prefix.')
    return bucket, prefix


def fetch(s3, url: str, kind: str, folder: Path) -> int:
    """Downloads a prefix, or what a manifest lists, into `folder`; gives the number of files."""
    bucket, prefix = split(url)
    if kind == "ManifestFile":
        keys = _manifest(s3, bucket, prefix)
    else:
        keys = [(bucket, key, _relative(key, prefix)) for key in _keys(s3, bucket, prefix)]
    if not keys:
        raise Nothing(f'No S3 objects found under S3 URL "{url}".')
    for where, key, name in keys:
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Nothing(f'"{key}" leads out of its folder.')
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(where, key, str(path))
    return len(keys)


def _keys(s3, bucket: str, prefix: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return [key for key in keys if not key.endswith("/")]


def _relative(key: str, prefix: str) -> str:
    """The file's name below the folder that the prefix names, or else below the one it lies in."""
    if prefix and not prefix.endswith("/") and key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def _manifest(s3, bucket: str, key: str) -> list[tuple[str, str, str]]:
    listed = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    found, place, start = [], bucket, ""
    for entry in listed:
        if isinstance(entry, dict):
            place, start = split(entry["prefix"])
        else:
            found.append((place, start + entry, entry))
    return found


def put(s3, folder: Path, url: str) -> int:
    """Uploads every file of `folder` below `url`; gives their number."""
    bucket, prefix = split(url)
    start = f"{prefix.rstrip('/')}/" if prefix else ""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    for file in files:
        s3.upload_file(str(file), bucket, start + file.relative_to(folder).as_posix())
    return len(files)
