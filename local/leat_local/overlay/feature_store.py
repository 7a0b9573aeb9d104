"""SageMaker Feature Store: feature groups, the online store's runtime, the offline store in S3.

The online store keeps, for each record, the values with the greatest event time; a record that is
not later goes to the offline store alone. The offline store is Parquet under the group's resolved
S3 URI, partitioned by the hour of the event time, written a moment later by the group's role.
Values are checked against their types and moved as they are. Only simulated: fifteen minutes
until a record is offline (here about a second), the Glue table, Iceberg, collections.
"""

from __future__ import annotations

import contextvars
import io
import json
import math
import re
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote

import pyarrow
import pyarrow.parquet

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners

from . import aws, shapes
from .refused import Refused

USES = {"ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",)}
FLUSH_SECONDS = 1.0
LARGEST_VALUE = 358_400
BATCH_GET, BATCH_WRITE = 100, 25
STORES = ("OnlineStore", "OfflineStore")
_PATH = re.compile(r"^/FeatureGroup/([^/]+)$")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$")
_TYPES = {"Integral": pyarrow.int64(), "Fractional": pyarrow.float64(), "String": pyarrow.string()}
_UNITS = {"Seconds": 1, "Minutes": 60, "Hours": 3600, "Days": 86_400, "Weeks": 604_800}

_groups: dict[str, dict] = {}
_online: dict[str, dict[str, dict]] = {}  # group: record identifier: {"at", "values", "until"}
_waiting: dict[tuple, list[dict]] = {}  # group and its creation: rows that wait to be written
_lock = threading.Lock()


def install() -> None:
    """Sets the hooks."""
    provisioners._RESOURCE_HANDLERS["AWS::SageMaker::FeatureGroup"] = {
        "create": _create_from_template,
        "delete": lambda name, _: (
            _groups.get(name) and delete_feature_group({"FeatureGroupName": name})
        ),
    }


# Control plane


def _arn(name: str) -> str:
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:feature-group/{name.lower()}"


def _group(name: str) -> dict:
    name = name.rpartition("/")[2]  # a name or an ARN
    for known, group in _groups.items():
        if known.lower() == name.lower():
            return group
    why = f"Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}"
    raise Refused("ResourceNotFound", why, 404)


def create_feature_group(data: dict) -> dict:
    """CreateFeatureGroup: Created at once, and its stores are empty."""
    name, now = data["FeatureGroupName"], time.time()
    features = {f["FeatureName"]: f["FeatureType"] for f in data["FeatureDefinitions"]}
    _check_group(data, features)
    group = {k: v for k, v in data.items() if k != "Tags"} | {
        "FeatureGroupArn": _arn(name),
        "FeatureGroupStatus": "Created",
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    if offline := data.get("OfflineStoreConfig"):
        place = offline["S3StorageConfig"]
        resolved = (
            f"{place['S3Uri'].rstrip('/')}/{get_account_id()}/sagemaker/{get_region()}/offline-store/"
            f"{name}-{int(now)}/data"
        )
        storage = place | {"ResolvedOutputS3Uri": resolved}
        group["OfflineStoreConfig"] = offline | {"S3StorageConfig": storage}
        group["OfflineStoreStatus"] = {"Status": "Active"}
    with _lock:
        if any(known.lower() == name.lower() for known in _groups):
            why = f"Resource Already Exists: FeatureGroup with name {name} already exists. Choose a different name."
            raise Refused("ResourceInUse", why)
        _groups[name], _online[name], _waiting[_key(group)] = group, {}, []
    if offline:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(_keep_writing, group), daemon=True).start()
    return {"FeatureGroupArn": group["FeatureGroupArn"]}


def _check_group(data: dict, features: dict[str, str]) -> None:
    identifier, at = data["RecordIdentifierFeatureName"], data["EventTimeFeatureName"]
    wrong = ""
    if len(features) < len(data["FeatureDefinitions"]):
        wrong = "feature names must be unique"
    elif identifier not in features or at not in features:
        wrong = f"the record identifier {identifier} and the event time {at} must be feature definitions"
    elif features[at] not in ("String", "Fractional"):
        wrong = f"the event time feature {at} must be String or Fractional"
    elif reserved := {"is_deleted", "write_time", "api_invocation_time"} & set(features):
        wrong = f"{', '.join(sorted(reserved))} are reserved feature names"
    elif not data.get("OfflineStoreConfig") and not data.get("OnlineStoreConfig", {}).get(
        "EnableOnlineStore"
    ):
        wrong = "at least one of OnlineStoreConfig and OfflineStoreConfig must be given"
    elif data.get("OfflineStoreConfig") and not data.get("RoleArn"):
        wrong = "RoleArn is required with an offline store"
    elif any(f.get("CollectionType") for f in data["FeatureDefinitions"]):
        wrong = "collections are not here locally"
    if wrong:
        raise Refused("ValidationException", f"Validation Error: {wrong}")


def delete_feature_group(data: dict) -> dict:
    """DeleteFeatureGroup: what lies in S3 stays, as on AWS."""
    name = _group(data["FeatureGroupName"])["FeatureGroupName"]
    with _lock:
        _groups.pop(name, None)
        _online.pop(name, None)
    return {}


def _key(group: dict) -> tuple:
    return group["FeatureGroupName"], group["CreationTime"]


def _list(data: dict) -> dict:
    fields = ("FeatureGroupName", "FeatureGroupArn", "CreationTime", "FeatureGroupStatus")
    found = [
        g for g in list(_groups.values()) if data.get("NameContains", "") in g["FeatureGroupName"]
    ]
    return {"FeatureGroupSummaries": [{f: g[f] for f in fields} for g in found]}


TARGETS = {
    "CreateFeatureGroup": create_feature_group,
    "DescribeFeatureGroup": lambda d: _group(d["FeatureGroupName"]) | {"NextToken": ""},
    "DeleteFeatureGroup": delete_feature_group,
    "ListFeatureGroups": _list,
}


def _create_from_template(_logical_id, properties, _stack):
    """AWS::SageMaker::FeatureGroup: `Ref` is its name. Text of the template becomes what the API takes."""
    given = json.loads(json.dumps(properties))
    for path in (
        ("OnlineStoreConfig", "EnableOnlineStore"),
        ("OfflineStoreConfig", "DisableGlueTableCreation"),
    ):
        holder = given.get(path[0], {})
        if path[1] in holder:
            holder[path[1]] = str(holder[path[1]]).lower() == "true"
    for ttl in [given.get("OnlineStoreConfig", {}).get("TtlDuration")]:
        if ttl:
            ttl["Value"] = int(ttl["Value"])
    try:
        shapes.check("sagemaker", "CreateFeatureGroup", given)
        create_feature_group(given)
    except (Refused, shapes.Invalid) as why:
        raise ValueError(str(why)) from None
    group = _groups[given["FeatureGroupName"]]
    made = datetime.fromtimestamp(group["CreationTime"], timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    return given["FeatureGroupName"], {"CreationTime": made, "FeatureGroupStatus": "Created"}


# Runtime


def is_runtime(path: str) -> bool:
    """Whether a request is the runtime's."""
    return bool(_PATH.match(path)) or path in ("/BatchGetRecord", "/BatchWriteRecord")


def runtime(method: str, path: str, query: dict, body: bytes) -> dict:
    """One call of the runtime; raises `Refused`."""
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        raise _wrong("the request's body is no JSON") from None
    if path == "/BatchGetRecord":
        return batch_get(given)
    if path == "/BatchWriteRecord":
        return batch_write(given)
    group = _group(unquote(_PATH.match(path)[1]))
    one = {name: _values(query, name) for name in query}
    if method == "PUT":
        put(group, given)
        return {}
    if method == "GET":
        return get(
            group, _only(one, "RecordIdentifierValueAsString"), one.get("FeatureName", []), one
        )
    if method == "DELETE":
        delete(group, one)
        return {}
    raise Refused("UnknownOperationException", f"{method} {path} is not here locally")


def _values(query: dict, name: str) -> list[str]:
    found = query[name]
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _only(given: dict, name: str) -> str:
    if not given.get(name):
        raise _wrong(f"{name} is missing")
    return given[name][0]


def _wrong(why: str) -> Refused:
    return Refused("ValidationError", f"Validation Error: {why}")


def put(group: dict, given: dict) -> None:
    """PutRecord: the whole record, into the stores that are asked for."""
    values = _record(group, given.get("Record"))
    stores = _stores(group, given.get("TargetStores"))
    identifier, at = (
        values[group["RecordIdentifierFeatureName"]],
        values[group["EventTimeFeatureName"]],
    )
    moment = _moment(group, at)
    name = group["FeatureGroupName"]
    with _lock:
        if "OnlineStore" in stores:
            known = _online[name].get(identifier)
            if not known or moment > known["at"]:
                until = _expiry(group, given.get("TtlDuration"), moment)
                _online[name][identifier] = {"at": moment, "values": values, "until": until}
        if "OfflineStore" in stores:
            row = {"values": values, "at": moment, "now": time.time(), "deleted": False}
            _waiting[_key(group)].append(row)


def _record(group: dict, record) -> dict[str, str]:
    """The record by feature name, each value checked against its feature's type."""
    if not isinstance(record, list) or not record:
        raise _wrong("Record is missing or empty")
    types = {f["FeatureName"]: f["FeatureType"] for f in group["FeatureDefinitions"]}
    values: dict[str, str] = {}
    for feature in record:
        name, value = feature.get("FeatureName"), feature.get("ValueAsString")
        if name not in types:
            raise _wrong(
                f"feature {name} is not defined in feature group {group['FeatureGroupName']}"
            )
        if name in values:
            raise _wrong(f"feature {name} is given twice")
        if not isinstance(value, str) or len(value) > LARGEST_VALUE:
            raise _wrong(
                f"feature {name} has no ValueAsString, or one of more than {LARGEST_VALUE} characters"
            )
        if _parsed(types[name], value) is None:
            raise _wrong(f"the value of feature {name} is no {types[name]}")
        values[name] = value
    for needed in (group["RecordIdentifierFeatureName"], group["EventTimeFeatureName"]):
        if not values.get(needed):
            raise _wrong(f"feature {needed} is required")
    return values


def _parsed(kind: str, value: str):
    """The value as its type; None where it is none of that type."""
    if kind == "String":
        return value
    try:
        number = int(value) if kind == "Integral" else float(value)
    except ValueError:
        return None
    if kind == "Integral":
        return number if -(2**63) <= number < 2**63 else None
    return number if math.isfinite(number) else None


def _moment(group: dict, at: str) -> float:
    """An event time as seconds: ISO-8601 in UTC, or a fraction of seconds."""
    kind = {f["FeatureName"]: f["FeatureType"] for f in group["FeatureDefinitions"]}[
        group["EventTimeFeatureName"]
    ]
    if kind == "Fractional":
        return float(at)
    try:
        if _TIME.match(at):
            return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
    except ValueError:
        pass
    raise _wrong("the event time must be yyyy-MM-dd'T'HH:mm:ssZ or yyyy-MM-dd'T'HH:mm:ss.SSSZ")


def _stores(group: dict, wanted: list[str] | None) -> list[str]:
    has = {
        "OnlineStore": bool(group.get("OnlineStoreConfig", {}).get("EnableOnlineStore")),
        "OfflineStore": bool(group.get("OfflineStoreConfig")),
    }
    if not wanted:
        return [store for store in STORES if has[store]]
    for store in wanted:
        if not has.get(store):
            raise _wrong(
                f"TargetStores names {store}, which feature group {group['FeatureGroupName']} does not have"
            )
    return wanted


def _expiry(group: dict, ttl: dict | None, moment: float) -> float | None:
    ttl = ttl or group.get("OnlineStoreConfig", {}).get("TtlDuration")
    return moment + _UNITS[ttl["Unit"]] * int(ttl["Value"]) if ttl else None


def _live(group: dict, identifier: str) -> dict | None:
    if "OnlineStore" not in _stores(group, None):
        raise _wrong(f"feature group {group['FeatureGroupName']} has no online store")
    found = _online[group["FeatureGroupName"]].get(identifier)
    if not found or found["values"] is None or (found["until"] and found["until"] <= time.time()):
        return None
    return found


def get(group: dict, identifier: str, names: list[str], asked: dict) -> dict:
    """GetRecord: no `Record` where there is none."""
    found = _live(group, identifier)
    if not found:
        return {}
    defined = [f["FeatureName"] for f in group["FeatureDefinitions"]]
    if unknown := [name for name in names if name not in defined]:
        raise _wrong(
            f"feature {unknown[0]} is not defined in feature group {group['FeatureGroupName']}"
        )
    shown = [name for name in (names or defined) if name in found["values"]]
    answer = {"Record": [{"FeatureName": n, "ValueAsString": found["values"][n]} for n in shown]}
    if found["until"] and "Enabled" in asked.get("ExpirationTimeResponse", []):
        until = datetime.fromtimestamp(found["until"], timezone.utc)
        answer["ExpiresAt"] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    return answer


def delete(group: dict, given: dict[str, list[str]]) -> None:
    """DeleteRecord: soft keeps the time of the deletion, hard forgets all."""
    identifier, at = _only(given, "RecordIdentifierValueAsString"), _only(given, "EventTime")
    stores, moment = _stores(group, given.get("TargetStores")), _moment(group, at)
    name = group["FeatureGroupName"]
    with _lock:
        known = _online[name].get(identifier)
        if "OnlineStore" in stores and (not known or moment >= known["at"]):
            if given.get("DeletionMode") == ["HardDelete"]:
                _online[name].pop(identifier, None)
            else:
                _online[name][identifier] = {"at": moment, "values": None, "until": None}
        if "OfflineStore" in stores:
            values = {
                group["RecordIdentifierFeatureName"]: identifier,
                group["EventTimeFeatureName"]: at,
            }
            row = {"values": values, "at": moment, "now": time.time(), "deleted": True}
            _waiting[_key(group)].append(row)


def batch_get(given: dict) -> dict:
    """BatchGetRecord: what is there; an error for each that cannot be read."""
    records, errors = [], []
    asked = {"ExpirationTimeResponse": [given.get("ExpirationTimeResponse", "Disabled")]}
    wanted = given.get("Identifiers") or []
    if not 1 <= sum(len(w.get("RecordIdentifiersValueAsString", [])) for w in wanted) <= BATCH_GET:
        raise _wrong(f"between 1 and {BATCH_GET} records can be asked for")
    for one in wanted:
        for identifier in one["RecordIdentifiersValueAsString"]:
            who = {
                "FeatureGroupName": one["FeatureGroupName"],
                "RecordIdentifierValueAsString": identifier,
            }
            try:
                group = _group(one["FeatureGroupName"])
                found = get(group, identifier, one.get("FeatureNames") or [], asked)
                records += [{**who, **found}] if found else []
            except Refused as why:
                errors.append({**who, "ErrorCode": why.code, "ErrorMessage": str(why)})
    return {"Records": records, "Errors": errors, "UnprocessedIdentifiers": []}


def batch_write(given: dict) -> dict:
    """BatchWriteRecord: each entry by itself; an error for each that was refused."""
    entries = given.get("Entries") or []
    if not 1 <= len(entries) <= BATCH_WRITE:
        raise _wrong(f"between 1 and {BATCH_WRITE} entries can be written")
    errors = []
    for entry in entries:
        try:
            ttl = entry.get("TtlDuration") or given.get("TtlDuration")
            put(_group(entry["FeatureGroupName"]), {**entry, "TtlDuration": ttl})
        except Refused as why:
            errors.append({"Entry": entry, "ErrorCode": why.code, "ErrorMessage": str(why)})
    return {"Errors": errors, "UnprocessedEntries": []}


# Offline


def _keep_writing(group: dict) -> None:
    """Writes what waits, until the group is deleted and nothing waits any more."""
    key, name, alive = _key(group), group["FeatureGroupName"], True
    while alive:
        time.sleep(FLUSH_SECONDS)
        alive = _groups.get(name) is group
        with _lock:
            rows, _waiting[key] = _waiting[key], []
        hours: dict[datetime, list[dict]] = {}
        for row in rows:
            hours.setdefault(_hour(row["at"]), []).append(row)
        for hour, some in hours.items():
            try:
                _write(group, hour, some)
                group["OfflineStoreStatus"] = {"Status": "Active"}
            except Exception as why:  # a store that cannot be written says so, and loses nothing
                group["OfflineStoreStatus"] = {
                    "Status": "Blocked",
                    "BlockedReason": str(why)[:1024],
                }
                with _lock:
                    _waiting[key] += some
    _waiting.pop(key, None)


def _hour(at: float) -> datetime:
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=at)
    return moment.replace(minute=0, second=0, microsecond=0)


def _write(group: dict, hour: datetime, rows: list[dict]) -> None:
    """One Parquet object of the rows of one hour of event time."""
    bucket, prefix = aws.split_url(
        group["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
    )
    body = io.BytesIO()
    pyarrow.parquet.write_table(_table(group, rows), body)
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    key = f"{prefix}/{hour:year=%Y/month=%m/day=%d/hour=%H}/{stamp}_{uuid.uuid4().hex[:16]}.parquet"
    s3 = aws.client("s3", group["RoleArn"], group["FeatureGroupName"])
    s3.put_object(Bucket=bucket, Key=key, Body=body.getvalue())


def _table(group: dict, rows: list[dict]) -> pyarrow.Table:
    columns = {}
    for feature in group["FeatureDefinitions"]:
        name, kind = feature["FeatureName"], feature["FeatureType"]
        cells = [row["values"].get(name) for row in rows]
        parsed = [None if cell is None else _parsed(kind, cell) for cell in cells]
        columns[name] = pyarrow.array(parsed, _TYPES[kind])
    now = pyarrow.timestamp("ms", tz="UTC")
    columns["write_time"] = pyarrow.array([int(time.time() * 1000)] * len(rows), now)
    columns["api_invocation_time"] = pyarrow.array([int(row["now"] * 1000) for row in rows], now)
    columns["is_deleted"] = pyarrow.array([row["deleted"] for row in rows], pyarrow.bool_())
    return pyarrow.table(columns)
