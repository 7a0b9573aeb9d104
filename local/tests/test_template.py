"""What the local AWS drops or cannot show of template.yaml: checked on the text itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions, as {name: argument}."""


def _function(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", _function)
DOCUMENT = yaml.load(TEMPLATE.read_text(), Loader)
RESOURCES = DOCUMENT["Resources"]


def of(kind: str) -> dict[str, dict]:
    """The properties of all resources of a kind, by name."""
    return {n: r.get("Properties", {}) for n, r in RESOURCES.items() if r["Type"] == f"AWS::{kind}"}


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


def statements():
    """Every statement of every identity policy, with where it stands."""
    for name, role in of("IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for name, policy in of("IAM::Policy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


def text(value) -> str:
    return json.dumps(value, sort_keys=True)


def case(found: dict) -> list:
    return [pytest.param(p, id=n) for n, p in found.items()]


# Linters


def test_cfn_lint_has_nothing_to_say():
    lint = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([lint, TEMPLATE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# Who may do what


def test_each_function_has_a_role_of_its_own():
    roles = [text(f.get("Role")) for f in of("Serverless::Function").values()]
    assert all(role != "null" for role in roles)
    assert len(set(roles)) == len(roles)
    assert not any("Policies" in f or "Events" in f for f in of("Serverless::Function").values())


@pytest.mark.parametrize(
    "statement", [pytest.param(s, id=f"{n}-{i}") for i, (n, s) in enumerate(statements())]
)
def test_statements_are_narrow(statement):
    actions = listed(statement["Action"])
    assert not any("*" in action for action in actions)
    assert "iam:PassRole" not in actions
    if "*" in listed(statement["Resource"]):  # the API has no resource level
        assert set(actions) <= {
            "cloudwatch:PutMetricData",
            "ecr:GetAuthorizationToken",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
        }
    for resource in listed(statement["Resource"]):
        arn = text(resource)
        if any(a.startswith("s3:") and "Object" in a for a in actions) and "quarantine" not in arn:
            assert "/" in arn.split(":::")[-1], "objects by prefix"


def test_trust_is_in_one_service_each():
    for name, role in of("IAM::Role").items():
        if name == "QuarantineReaderRole":
            continue
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert list(statement["Principal"]) == ["Service"]
        assert isinstance(statement["Principal"]["Service"], str)


def test_only_the_reader_may_read_raw_payloads():
    for name, statement in statements():
        if name != "QuarantineReaderRole" and "s3:GetObject" in listed(statement["Action"]):
            assert "quarantine" not in text(statement["Resource"])
            assert "failed" not in text(statement["Resource"])
    reads = [
        s
        for s in of("KMS::Key")["RawKey"]["KeyPolicy"]["Statement"]
        if any(a in ("kms:*", "kms:Decrypt") for a in listed(s["Action"]))
    ]
    assert [s["Sid"] for s in reads] == ["Reader"]


# Buckets


@pytest.mark.parametrize("bucket", case(of("S3::Bucket")))
def test_buckets_are_private_versioned_and_encrypted(bucket):
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["LifecycleConfiguration"]["Rules"]
    assert bucket["BucketEncryption"]


@pytest.mark.parametrize("name", of("S3::Bucket"))
def test_buckets_speak_tls_only(name):
    (policy,) = [p for p in of("S3::BucketPolicy").values() if p["Bucket"] == {"Ref": name}]
    deny = policy["PolicyDocument"]["Statement"][0]
    assert deny["Effect"] == "Deny" and deny["Action"] == "s3:*" and deny["Principal"] == "*"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert deny["Resource"] == [{"GetAtt": f"{name}.Arn"}, {"Sub": f"${{{name}.Arn}}/*"}]


def encryption(bucket: str) -> dict:
    (rule,) = of("S3::Bucket")[bucket]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return {**rule, **rule["ServerSideEncryptionByDefault"]}


def test_raw_payloads_have_a_key_of_their_own():
    keys = {b: text(encryption(b)["KMSMasterKeyID"]) for b in ("LakeBucket", "QuarantineBucket")}
    assert keys["QuarantineBucket"] == text({"GetAtt": "RawKey.Arn"})
    assert keys["LakeBucket"] == text({"GetAtt": "LakeKey.Arn"})
    assert all(encryption(b)["BucketKeyEnabled"] for b in keys)


def rules(bucket: str) -> dict:
    return {r["Id"]: r for r in of("S3::Bucket")[bucket]["LifecycleConfiguration"]["Rules"]}


def test_landing_grows_cold_and_expires():
    landing = rules("LakeBucket")["landing"]
    assert landing["Prefix"] == "landing/"
    assert [(t["StorageClass"], t["TransitionInDays"]) for t in landing["Transitions"]] == [
        ("INTELLIGENT_TIERING", 30),
        ({"Ref": "ColdStorage"}, 180),
    ]
    assert landing["ExpirationInDays"] >= 7 * 365


def test_what_may_be_personal_goes_after_thirty_days():
    assert rules("QuarantineBucket")["expire"]["ExpirationInDays"] == 30
    assert rules("LakeBucket")["failed"]["ExpirationInDays"] == 30
    assert rules("LakeBucket")["failed"]["Prefix"] == "failed/"


def lake_denials() -> dict:
    statements = of("S3::BucketPolicy")["LakeBucketPolicy"]["PolicyDocument"]["Statement"]
    return {s["Sid"]: s for s in statements if s["Effect"] == "Deny"}


def test_only_firehose_writes_where_its_lines_are_believed():
    deny = lake_denials()["OnlyFirehoseWritesTheStreamsLanding"]
    assert deny["Action"] == "s3:PutObject"
    assert deny["Resource"] == {"Sub": "${LakeBucket.Arn}/landing/stream/*"}
    only = {"ArnNotEquals": {"aws:PrincipalArn": {"GetAtt": "FirehoseRole.Arn"}}}
    assert deny["Condition"] == only
    datasets = function("s3-glue-trigger")["LEAT_DATASETS"]["Sub"]
    assert '{"prefix":"landing/stream/${Recipe}/","trusted":true}' in datasets


def test_landing_is_immutable():
    deny = lake_denials()["LandingIsImmutable"]
    assert deny["Action"] == ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    assert "Condition" not in deny


# Keys and stores


@pytest.mark.parametrize("key", case(of("KMS::Key")))
def test_keys_rotate(key):
    assert key["EnableKeyRotation"] is True


def test_stores_are_encrypted_with_the_lakes_key():
    lake = {"GetAtt": "LakeKey.Arn"}
    for stream in of("Kinesis::Stream").values():
        assert stream["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": lake}
    for table in of("DynamoDB::Table").values():
        sse = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": lake}
        assert table["SSESpecification"] == sse
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    for queue in of("SQS::Queue").values():
        assert queue["KmsMasterKeyId"] == {"Ref": "LakeKey"}
    for group in of("Logs::LogGroup").values():
        assert group["KmsKeyId"] == lake
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    (secret,) = of("SecretsManager::Secret").values()
    assert secret["KmsKeyId"] == {"Ref": "LakeKey"}
    assert secret["GenerateSecretString"]["PasswordLength"] >= 32
    assert "SecretString" not in secret


@pytest.mark.parametrize(
    "kind", ["S3::Bucket", "DynamoDB::Table", "KMS::Key", "SecretsManager::Secret"]
)
def test_what_holds_data_outlives_the_stack(kind):
    for name in of(kind):
        assert RESOURCES[name]["DeletionPolicy"] == "Retain", name


# Functions


def function(name: str) -> dict:
    """A function's own variables."""
    (found,) = [
        f for f in of("Serverless::Function").values() if f["CodeUri"] == f"dist/{name}/"
    ]
    return found["Environment"]["Variables"]


LEDGER = {"LEAT_LEDGER", "LEAT_MANIFESTS", "LEAT_GLUE", "LEAT_DATASETS"}


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("s3-glue-trigger", LEDGER),
        ("glue-callback", LEDGER),
        ("firehose-transform", {"LEAT_RECIPE", "LEAT_KEYS", "LEAT_QUARANTINE"}),
        (
            "kinesis-features",
            {"LEAT_RECIPE", "LEAT_KEYS", "LEAT_STATE", "LEAT_SERVING", "LEAT_SINKS"}
            | {"LEAT_QUARANTINE", "LEAT_MAX_RECORD_AGE", "LEAT_LANES"},
        ),
    ],
)
def test_functions_get_their_variables_and_no_secret(name, variables):
    assert set(function(name)) == variables
    assert not any(n.startswith("AWS_ENDPOINT") for n in function(name))


def test_each_function_has_a_folder_a_log_group_and_a_dead_line():
    names = {f["CodeUri"] for f in of("Serverless::Function").values()}
    assert names == {f"dist/{p.name}/" for p in (ROOT / "functions").iterdir() if p.is_dir()}
    for one in of("Serverless::Function").values():
        assert one["LoggingConfig"]["LogGroup"]["Ref"] in of("Logs::LogGroup")
        assert one["Timeout"] <= 300


def test_the_datasets_are_json():
    value = function("s3-glue-trigger")["LEAT_DATASETS"]["Sub"]
    (dataset,) = json.loads(value)
    assert dataset["start"]["glue"]["job"] == "leat-${Stage}-cleanse"
    (job,) = of("Glue::Job").values()
    assert job["DefaultArguments"]["--leat-cleansed"] == {"Sub": dataset["cleansed"]}


def test_the_mapping_gives_nothing_up_early():
    (mapping,) = [m for m in of("Lambda::EventSourceMapping").values() if "StartingPosition" in m]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == -1
    assert mapping["MaximumRecordAgeInSeconds"] == {"Ref": "MaximumRecordAgeSeconds"}
    assert DOCUMENT["Parameters"]["MaximumRecordAgeSeconds"]["Default"] == 6 * 3600
    assert function("kinesis-features")["LEAT_MAX_RECORD_AGE"] == {"Ref": "MaximumRecordAgeSeconds"}
    assert str(mapping["ParallelizationFactor"]) == function("kinesis-features")["LEAT_LANES"]
    onward = {"OnFailure": {"Destination": {"GetAtt": "QuarantineBucket.Arn"}}}
    assert mapping["DestinationConfig"] == onward
    assert DOCUMENT["Parameters"]["StreamRetentionHours"]["Default"] == 7 * 24


def test_the_queue_waits_longer_than_its_function_works():
    (mapping,) = [m for m in of("Lambda::EventSourceMapping").values() if "StartingPosition" not in m]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queue = of("SQS::Queue")["LandingQueue"]
    assert queue["VisibilityTimeout"] >= 6 * of("Serverless::Function")["S3GlueTrigger"]["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5


# Firehose, Glue, alarms


def test_firehose_leaves_room_and_keeps_what_fails():
    (delivery,) = of("KinesisFirehose::DeliveryStream").values()
    target = delivery["ExtendedS3DestinationConfiguration"]
    (processor,) = target["ProcessingConfiguration"]["Processors"]
    given = {p["ParameterName"]: p["ParameterValue"] for p in processor["Parameters"]}
    assert float(given["BufferSizeInMBs"]) <= 3 and given["NumberOfRetries"] == "3"
    assert target["BufferingHints"]["SizeInMBs"] >= 64  # the least with dynamic partitions
    assert target["Prefix"]["Sub"].startswith("landing/stream/${Recipe}/")
    assert target["ErrorOutputPrefix"].startswith("failed/!{firehose:error-output-type}/")
    assert target["EncryptionConfiguration"]["KMSEncryptionConfig"]


def test_the_ledger_alone_retries_the_job():
    (job,) = of("Glue::Job").values()
    assert job["MaxRetries"] == 0
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert job["GlueVersion"] == "5.0"
    arguments = set(job["DefaultArguments"])
    ours = {"--leat-recipe", "--leat-keys", "--leat-cleansed", "--leat-quarantine"}
    assert ours | {"--leat-buckets"} == {a for a in arguments if a.startswith("--leat")}


def test_every_end_of_a_run_is_heard():
    (rule,) = of("Events::Rule").values()
    pattern = rule["EventPattern"]
    assert pattern["source"] == ["aws.glue"]
    ends = {"SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"}
    assert set(pattern["detail"]["state"]) == ends
    assert rule["Targets"][0]["DeadLetterConfig"]


def test_the_alarms():
    alarms = {a["MetricName"]: a for a in of("CloudWatch::Alarm").values()}
    assert {"IteratorAge", "ApproximateNumberOfMessagesVisible", "Errors"} <= set(alarms)
    assert alarms["IteratorAge"]["Threshold"] == 5 * 60 * 1000
    for alarm in of("CloudWatch::Alarm").values():
        assert alarm["AlarmActions"]


def test_every_parameter_has_a_default():
    assert all("Default" in p for p in DOCUMENT["Parameters"].values())
