"""The Feature Store keeps the latest record online, and every record offline."""

import io
import uuid

import pyarrow.parquet
import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/test"
FEATURES = {"customer": "String", "at": "String", "amount": "Fractional", "count": "Integral"}


class Group:
    """A feature group, and short ways to it."""

    def __init__(self, aws, **more):
        self.aws, self.bucket = aws, aws.bucket()
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        self.runtime = aws.sagemaker_featurestore_runtime
        given = {
            "OnlineStoreConfig": {"EnableOnlineStore": True},
            "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": f"s3://{self.bucket}/offline"}},
        } | more
        aws.sagemaker.create_feature_group(
            FeatureGroupName=self.name,
            RecordIdentifierFeatureName="customer",
            EventTimeFeatureName="at",
            FeatureDefinitions=[{"FeatureName": n, "FeatureType": t} for n, t in FEATURES.items()],
            RoleArn=ROLE,
            **{k: v for k, v in given.items() if v},
        )

    def put(self, customer: str, at: str, stores=None, **features: str):
        record = {"customer": customer, "at": at, **features}
        more = {"TargetStores": stores} if stores else {}
        self.runtime.put_record(
            FeatureGroupName=self.name,
            Record=[{"FeatureName": n, "ValueAsString": v} for n, v in record.items()],
            **more,
        )

    def get(self, customer: str, *names: str) -> dict | None:
        more = {"FeatureNames": list(names)} if names else {}
        found = self.runtime.get_record(
            FeatureGroupName=self.name, RecordIdentifierValueAsString=customer, **more
        )
        return (
            {f["FeatureName"]: f["ValueAsString"] for f in found["Record"]}
            if "Record" in found
            else None
        )

    def offline(self) -> list[dict]:
        place = self.aws.sagemaker.describe_feature_group(FeatureGroupName=self.name)
        url = place["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
        found = []
        for key in self.aws.keys(self.bucket, url.split("/", 3)[3]):
            body = io.BytesIO(self.aws.read(self.bucket, key))
            found += pyarrow.parquet.read_table(body).to_pylist()
        return found


@pytest.fixture
def group(aws):
    return Group(aws)


def test_an_older_record_does_not_replace_the_online_one(group, until):
    group.put("c1", "2026-01-01T10:00:00Z", amount="1.5", count="2")
    group.put("c1", "2026-01-01T09:00:00Z", amount="9", count="9")
    assert group.get("c1") == {
        "customer": "c1",
        "at": "2026-01-01T10:00:00Z",
        "amount": "1.5",
        "count": "2",
    }
    group.put("c1", "2026-01-01T10:00:00.001Z", amount="3")  # the whole record is replaced
    assert group.get("c1") == {"customer": "c1", "at": "2026-01-01T10:00:00.001Z", "amount": "3"}
    rows = until(lambda: len(found := group.offline()) == 3 and found)
    assert sorted((r["at"], r["amount"], r["count"]) for r in rows) == [
        ("2026-01-01T09:00:00Z", 9.0, 9),
        ("2026-01-01T10:00:00.001Z", 3.0, None),
        ("2026-01-01T10:00:00Z", 1.5, 2),
    ]
    assert all(not r["is_deleted"] and r["write_time"] >= r["api_invocation_time"] for r in rows)


def test_the_offline_store_is_parquet_by_hour_of_the_event(group, until, aws):
    group.put("c1", "2026-01-02T10:00:00Z", stores=["OfflineStore"])
    group.put("c1", "2026-01-02T11:59:59Z", stores=["OfflineStore"])
    assert group.get("c1") is None
    keys = until(lambda: len(found := aws.keys(group.bucket, "offline/")) == 2 and found)
    for key, hour in zip(keys, ("10", "11"), strict=True):
        assert key.startswith(
            f"offline/000000000000/sagemaker/us-east-1/offline-store/{group.name}-"
        )
        assert f"/data/year=2026/month=01/day=02/hour={hour}/" in key and key.endswith(".parquet")


def test_online_alone_writes_nothing_offline(group, until):
    group.put("c1", "2026-01-01T10:00:00Z", stores=["OnlineStore"])
    group.put("c2", "2026-01-01T10:00:00Z")
    until(group.offline)
    assert [r["customer"] for r in group.offline()] == ["c2"]
    assert group.get("c1", "customer") == {"customer": "c1"}


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"nonsense": "1"}, "feature nonsense is not defined"),
        ({"amount": "much"}, "no Fractional"),
        ({"amount": "NaN"}, "no Fractional"),
        ({"count": "1.5"}, "no Integral"),
        ({"count": "9223372036854775808"}, "no Integral"),
        ({"count": ""}, "no Integral"),
    ],
)
def test_a_value_that_is_none_of_its_type(group, features, words):
    with pytest.raises(ClientError) as why:
        group.put("c1", "2026-01-01T10:00:00Z", **features)
    assert why.value.response["Error"]["Code"] == "ValidationError"
    assert why.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert words in str(why.value)
    assert group.get("c1") is None


@pytest.mark.parametrize(
    "at", ["2026-01-01", "2026-01-01T10:00:00", "2026-13-01T10:00:00Z", "1767261600", ""]
)
def test_an_event_time_that_is_none(group, at):
    with pytest.raises(ClientError, match="ValidationError"):
        group.put("c1", at)


def test_stores_that_a_group_does_not_have(aws):
    offline = Group(aws, OnlineStoreConfig=None)
    with pytest.raises(ClientError, match="OnlineStore"):
        offline.put("c1", "2026-01-01T10:00:00Z", stores=["OnlineStore"])
    with pytest.raises(ClientError, match="no online store"):
        offline.get("c1")


def test_a_group_that_is_not_there(aws):
    with pytest.raises(ClientError) as why:
        aws.sagemaker_featurestore_runtime.get_record(
            FeatureGroupName="test-none", RecordIdentifierValueAsString="c1"
        )
    assert why.value.response["Error"]["Code"] == "ResourceNotFound"


def test_a_deleted_record_stays_deleted_for_older_ones(group, until):
    who = {"FeatureGroupName": group.name, "RecordIdentifierValueAsString": "c1"}
    group.put("c1", "2026-01-01T10:00:00Z")
    group.runtime.delete_record(**who, EventTime="2026-01-01T11:00:00Z")
    assert group.get("c1") is None
    group.put("c1", "2026-01-01T10:30:00Z")
    assert group.get("c1") is None
    group.put("c1", "2026-01-01T12:00:00Z")
    assert group.get("c1")["at"] == "2026-01-01T12:00:00Z"
    rows = until(lambda: len(found := group.offline()) == 4 and found)
    assert sorted(r["at"] for r in rows if r["is_deleted"]) == ["2026-01-01T11:00:00Z"]


def test_a_batch_is_read_and_written_one_by_one(group):
    record = [{"FeatureName": "customer", "ValueAsString": "c1"}]
    good = {
        "FeatureGroupName": group.name,
        "Record": [*record, {"FeatureName": "at", "ValueAsString": "2026-01-01T10:00:00Z"}],
    }
    answer = group.runtime.batch_write_record(Entries=[good, {**good, "Record": record}])
    assert [e["ErrorCode"] for e in answer["Errors"]] == ["ValidationError"] and not answer[
        "UnprocessedEntries"
    ]
    found = group.runtime.batch_get_record(
        Identifiers=[
            {"FeatureGroupName": group.name, "RecordIdentifiersValueAsString": ["c1", "c2"]},
            {"FeatureGroupName": "test-none", "RecordIdentifiersValueAsString": ["c1"]},
        ]
    )
    assert [r["RecordIdentifierValueAsString"] for r in found["Records"]] == ["c1"]
    assert [e["ErrorCode"] for e in found["Errors"]] == ["ResourceNotFound"]


def test_a_name_is_taken_once_and_wrong_definitions_are_refused(aws, group):
    given = {
        "FeatureGroupName": group.name,
        "RecordIdentifierFeatureName": "customer",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [
            {"FeatureName": "customer", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "String"},
        ],
        "OnlineStoreConfig": {"EnableOnlineStore": True},
    }
    with pytest.raises(ClientError) as why:
        aws.sagemaker.create_feature_group(**given)
    assert why.value.response["Error"]["Code"] == "ResourceInUse"
    for change in (
        {"EventTimeFeatureName": "when"},
        {"OnlineStoreConfig": {"EnableOnlineStore": False}},
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            aws.sagemaker.create_feature_group(
                **given | {"FeatureGroupName": "test-other"} | change
            )


def test_cloudformation_makes_a_group(aws, until):
    bucket, name = aws.bucket(), f"test-{uuid.uuid4().hex[:8]}"
    template = f"""
Resources:
  Features:
    Type: AWS::SageMaker::FeatureGroup
    Properties:
      FeatureGroupName: {name}
      RecordIdentifierFeatureName: customer
      EventTimeFeatureName: at
      RoleArn: {ROLE}
      OnlineStoreConfig: {{EnableOnlineStore: "true"}}
      OfflineStoreConfig: {{S3StorageConfig: {{S3Uri: s3://{bucket}/offline}}, DisableGlueTableCreation: true}}
      FeatureDefinitions:
        - {{FeatureName: customer, FeatureType: String}}
        - {{FeatureName: at, FeatureType: Fractional}}
Outputs:
  Name: {{Value: !Ref Features}}
"""
    aws.cloudformation.create_stack(StackName=name, TemplateBody=template)

    def made():
        stack = aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        assert "ROLLBACK" not in stack["StackStatus"] and "FAILED" not in stack["StackStatus"], (
            stack
        )
        return stack if stack["StackStatus"] == "CREATE_COMPLETE" else None

    assert until(made)["Outputs"][0]["OutputValue"] == name
    group = aws.sagemaker.describe_feature_group(FeatureGroupName=name)
    assert group["FeatureGroupStatus"] == "Created"
    aws.sagemaker_featurestore_runtime.put_record(
        FeatureGroupName=name,
        Record=[
            {"FeatureName": "customer", "ValueAsString": "c1"},
            {"FeatureName": "at", "ValueAsString": "1767261600.5"},
        ],
    )
    aws.cloudformation.delete_stack(StackName=name)

    def gone():
        return name not in str(aws.sagemaker.list_feature_groups()["FeatureGroupSummaries"])

    until(gone)
