"""What the local AWS drops or cannot show of template.yaml: checked on the text itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from leat_local import workflows

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

LOG_DELIVERY = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}


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
    if "iam:PassRole" in actions:  # SageMaker's jobs and models act with roles that their starter names
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        assert actions == ["iam:PassRole"] and "*" not in text(statement["Resource"])
    if "*" in listed(statement["Resource"]):  # the API has no resource level
        assert set(actions) <= {
            "cloudwatch:PutMetricData",
            "ecr:GetAuthorizationToken",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:PutTelemetryRecords",
            "xray:PutTraceSegments",
            *LOG_DELIVERY,
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
            # hand-over asks each object of Firehose's error prefix why it is there.
            assert "failed/*" not in text(statement["Resource"]) or name == "HandOverRole"
    deny = lake_denials()["ReadersOfFailed"]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert deny == [{"GetAtt": "QuarantineReaderRole.Arn"}, {"GetAtt": "HandOverRole.Arn"}]
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


def test_only_firehose_and_a_replay_write_where_lines_are_believed():
    deny = lake_denials()["OnlyFirehoseWritesTheStreamsLanding"]
    assert deny["Action"] == "s3:PutObject"
    assert deny["Resource"] == {"Sub": "${LakeBucket.Arn}/landing/stream/*"}
    folders = {"FirehoseTransformRole": "large", "HandOverRole": "failed", "QuarantineReaderRole": "replayed"}
    writers = [{"GetAtt": f"{role}.Arn"} for role in ("FirehoseRole", *folders)]
    assert deny["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": writers}}
    for role, folder in folders.items():
        puts = [listed(s["Resource"]) for n, s in statements() if n == role and "s3:PutObject" in listed(s["Action"])]
        (put,) = [text(resource) for resources in puts for resource in resources if "landing" in text(resource)]
        assert f"/landing/stream/${{Recipe}}/{folder}/*\"" in put, "beside what Firehose writes, not over it"
    for name, folder in [("firehose-transform", "large"), ("hand-over", "failed")]:
        assert function(name)["LEAT_LANDING"]["Sub"].endswith(f"/landing/stream/${{Recipe}}/{folder}/")
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
        ("firehose-transform", {"LEAT_RECIPE", "LEAT_KEYS", "LEAT_QUARANTINE", "LEAT_LANDING"}),
        (
            "kinesis-features",
            {"LEAT_RECIPE", "LEAT_KEYS", "LEAT_STATE", "LEAT_SERVING", "LEAT_SINKS"}
            | {"LEAT_QUARANTINE", "LEAT_MAX_RECORD_AGE", "LEAT_LANES", "LEAT_ARTIFACTS"},
        ),
        ("quality-gate", {"LEAT_RECIPE", "LEAT_CLEANSED", "LEAT_ARTIFACTS", "LEAT_KEYS"}),
        ("feature-fit", {"LEAT_ARTIFACTS", "LEAT_KEYS"}),
        ("feature-transform", {"LEAT_ARTIFACTS", "LEAT_CURATED", "LEAT_KEYS"}),
        ("feature-store-ingest", {"LEAT_RECIPE", "LEAT_FEATURE_GROUP", "LEAT_FEATURES"}),
        ("glue-start", {"LEAT_JOBS", "LEAT_LEDGER", "LEAT_GLUE"}),
        (
            "hand-over",
            {"LEAT_RECIPE", "LEAT_KEYS", "LEAT_STATE", "LEAT_SERVING", "LEAT_STREAM", "LEAT_FAILED", "LEAT_LANDING"}
            | {"LEAT_BUFFER_SECONDS", "LEAT_LEDGER", "LEAT_MANIFESTS", "LEAT_DATASETS"},
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
        assert one["Timeout"] <= (900 if "features" not in one["CodeUri"] and one["MemorySize"] >= 1024 else 300)


def test_the_datasets_are_json():
    value = function("s3-glue-trigger")["LEAT_DATASETS"]["Sub"]
    dataset, labels = json.loads(value)
    job = of("Glue::Job")["CleanseJob"]
    for one in (dataset, labels):
        assert one["start"]["glue"]["job"] == "leat-${Stage}-cleanse"
        assert one["cleansed"] == f"s3://${{LakeBucket}}/cleansed/{one['name']}/"
        assert all(f"/{one['name']}/" in p["prefix"] for p in one["prefixes"])
    assert job["DefaultArguments"]["--leat-cleansed"] == {"Sub": dataset["cleansed"]}
    # The job is shared: what differs is said for each run.
    assert labels["name"] == "${Recipe}-labels"
    assert set(labels["start"]["glue"]["arguments"]) == {"--leat-recipe", "--leat-quarantine"}
    assert labels["start"]["glue"]["arguments"]["--leat-recipe"].endswith("/${Recipe}/labels.yaml")
    assert not any(p.get("trusted") for p in labels["prefixes"]), "only Firehose's lines are believed"


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
    job = of("Glue::Job")["CleanseJob"]
    assert job["MaxRetries"] == 0
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert job["GlueVersion"] == "5.0"
    arguments = set(job["DefaultArguments"])
    ours = {"--leat-recipe", "--leat-keys", "--leat-cleansed", "--leat-quarantine"}
    assert ours | {"--leat-buckets", "--leat-references"} == {a for a in arguments if a.startswith("--leat")}
    # An argument without a value would be refused by the job.
    given = job["DefaultArguments"]["--leat-references"]
    assert given == {"If": ["HasReferences", {"Ref": "QueryReferences"}, {"Ref": "AWS::NoValue"}]}
    most = f"1 <= arguments.buckets <= {DOCUMENT['Parameters']['EntityBuckets']['MaxValue']}"
    assert most in (ROOT / "glue/cleanse.py").read_text()


def test_the_state_machine_alone_retries_the_features():
    job, cleanse = of("Glue::Job")["FeaturesJob"], of("Glue::Job")["CleanseJob"]
    assert (job["MaxRetries"], job["GlueVersion"], job["ExecutionProperty"]) == (0, "5.0", {"MaxConcurrentRuns": 1})
    (state,) = [s for s in machine_raw("train")["States"].values() if s.get("Resource", "").endswith(".waitForTaskToken")]
    assert job["Timeout"] * 60 < state["TimeoutSeconds"], "a run that hangs is told by its end, not by the state's"
    order = state["Parameters"]["Payload"]
    assert (order["job"], order["task_token.$"]) == ("${FeaturesJob}", "$$.Task.Token")
    assert order["name.$"] == "States.Format('{}-Features', $$.Execution.Name)", "an execution has one run, whatever is repeated"
    # What the script must be given, it is: by the state, or else by the job.
    script = (ROOT / "glue/features.py").read_text()
    given = {a.removesuffix(".$") for a in order["arguments"]} | {a for a in job["DefaultArguments"] if a.startswith("--leat")}
    assert given == {f"--leat-{name}" for name in ("run", "state", "curated", "keys")}
    assert all(f'("{name}", "URL' in script for name in ("run", "state", "curated"))
    # It imports the other job's script.
    assert job["DefaultArguments"]["--extra-py-files"] == {"Sub": cleanse["Command"]["ScriptLocation"]["Sub"]}


def test_every_end_of_a_run_is_heard():
    rule = of("Events::Rule")["JobEnded"]
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


# State machines

MACHINES = {"train": "Train", "promote": "Promote", "hour": "Hour"}


def machine(name: str) -> dict:
    """A definition with its substitutions' names in their place."""
    return workflows.definition(name, {n: f"<{n}>" for n in workflows.names(name)})


def role_of(name: str) -> list[dict]:
    """The statements of a state machine's role."""
    policy = of("IAM::Policy")[f"{MACHINES[name]}Policy"]
    assert policy["Roles"] == [{"Ref": f"{MACHINES[name]}Role"}]
    return policy["PolicyDocument"]["Statement"]


def tasks(name: str):
    """Every Task of a state machine: where it stands, its service and action, its parameters."""
    for path, state, _ in workflows.walk(machine(name)["States"]):
        if state["Type"] == "Task":
            service, _, action = state["Resource"].removeprefix("arn:aws:states:::").removeprefix("aws-sdk:").partition(":")
            yield path, service, action, state["Parameters"]


@pytest.mark.parametrize("name", MACHINES)
def test_state_machines_get_what_they_name_and_no_more(name):
    found = of("StepFunctions::StateMachine")[MACHINES[name]]
    assert found["DefinitionS3Location"] == f"workflows/{name}.asl.json"
    assert set(found["DefinitionSubstitutions"]) == workflows.names(name)


@pytest.mark.parametrize("name", MACHINES)
def test_state_machines_are_logged_traced_and_encrypted(name):
    found = of("StepFunctions::StateMachine")[MACHINES[name]]
    assert found["LoggingConfiguration"]["Level"] == "ALL"
    assert found["LoggingConfiguration"]["IncludeExecutionData"] is False, "inputs may name people's data"
    assert found["TracingConfiguration"] == {"Enabled": True}
    assert found["EncryptionConfiguration"]["Type"] == "CUSTOMER_MANAGED_KMS_KEY"
    assert found["EncryptionConfiguration"]["KmsKeyId"] == {"GetAtt": "LakeKey.Arn"}
    (group,) = [d["CloudWatchLogsLogGroup"]["LogGroupArn"] for d in found["LoggingConfiguration"]["Destinations"]]
    log = of("Logs::LogGroup")[group["GetAtt"].removesuffix(".Arn")]["LogGroupName"]["Sub"]
    assert log.startswith("/aws/vendedlogs/states/")  # else the resource policy of log delivery grows out of its limit


ACTIONS = {
    ("lambda", "invoke"): ["lambda:InvokeFunction"],
    ("lambda", "invoke.waitForTaskToken"): ["lambda:InvokeFunction"],
    ("lambda", "getEventSourceMapping"): ["lambda:GetEventSourceMapping"],
    ("lambda", "updateEventSourceMapping"): ["lambda:UpdateEventSourceMapping"],
    ("dynamodb", "putItem"): ["dynamodb:PutItem"],
    ("dynamodb", "getItem"): ["dynamodb:GetItem"],
    ("dynamodb", "deleteItem"): ["dynamodb:DeleteItem"],
    ("events", "putEvents"): ["events:PutEvents"],
    ("s3", "putObject"): ["s3:PutObject"],
    ("s3", "getObject"): ["s3:GetObject"],
    ("sagemaker", "createTrainingJob.sync"): [
        "sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob", "sagemaker:AddTags", "iam:PassRole",
        "events:PutRule", "events:PutTargets", "events:DescribeRule",
    ],
    ("sagemaker", "createProcessingJob.sync"): [
        "sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob", "sagemaker:StopProcessingJob", "sagemaker:AddTags", "iam:PassRole",
        "events:PutRule", "events:PutTargets", "events:DescribeRule",
    ],
    ("states", "startExecution.sync:2"): ["states:StartExecution", "states:DescribeExecution", "states:StopExecution", "events:PutRule"],
}  # fmt: skip
ACTIONS |= {
    ("sagemaker", name): [f"sagemaker:{name[0].upper()}{name[1:]}"]
    for name in ("createModel", "describeModel", "createEndpointConfig", "describeEndpointConfig", "deleteEndpointConfig",
                 "createEndpoint", "describeEndpoint", "deleteEndpoint")
}  # fmt: skip


def matches(resources, wanted: str) -> bool:
    return any(wanted in text(r) for r in listed(resources))


@pytest.mark.parametrize("name", MACHINES)
def test_the_role_may_do_what_each_task_does_and_nothing_else(name):
    allowed = {}
    for statement in role_of(name):
        for action in listed(statement["Action"]):
            allowed.setdefault(action, []).extend(listed(statement["Resource"]))
    needed = set()
    for path, service, action, given in tasks(name):
        for one in ACTIONS[service, action]:
            assert one in allowed, f"{path} needs {one}"
            needed.add(one)
        if service == "lambda" and action.startswith("invoke"):
            assert matches(allowed["lambda:InvokeFunction"], given["FunctionName"].strip("<>")), path
        if service == "dynamodb":
            assert given["TableName"] == "<ServingTable>"
        for key in ("Key.$", "Key"):
            if service == "s3" and key in given:
                assert given["Bucket"] == "<LakeBucket>"
    used = {"kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant", "kms:DescribeKey", "s3:ListBucket", "iam:PassRole", *LOG_DELIVERY}
    used |= {"states:StartExecution", "states:DescribeExecution", "states:StopExecution"}  # a Distributed Map's own
    assert {a for a in allowed if not a.startswith("xray:")} - used <= needed, "no right without a task"


def test_jobs_and_models_get_roles_of_their_own():
    passed = {n: [r for s in role_of(n) if "iam:PassRole" in listed(s["Action"]) for r in listed(s["Resource"])] for n in MACHINES}
    assert passed["train"] == [{"GetAtt": "TrainingRole.Arn"}, {"GetAtt": "ProcessingRole.Arn"}]
    assert passed["promote"] == [{"GetAtt": "ModelRole.Arn"}]
    named = {p["RoleArn"] for _, _, _, p in tasks("train") if "RoleArn" in p}
    named |= {p["ExecutionRoleArn"] for _, _, _, p in tasks("promote") if "ExecutionRoleArn" in p}
    assert named == {"<TrainingRole>", "<ProcessingRole>", "<ModelRole>"}


WORKERS = ["quality-gate", "feature-fit", "feature-transform", "feature-store-ingest", "glue-start", "hand-over"]


@pytest.mark.parametrize("name", WORKERS)
def test_the_words_of_a_worker_are_those_that_states_match(name):
    section = (ROOT / "functions" / name / "README.md").read_text().partition("## Failure words")[2].partition("\n## ")[0]
    said = set(re.findall(r"`([A-Z]\w+\.[A-Z]\w+)`", section))
    matched = set()
    for machine_name in MACHINES:
        for _, state, _ in workflows.walk(machine(machine_name)["States"]):
            if state.get("Resource", "").startswith("arn:aws:states:::lambda:invoke"):
                matched |= {e for r in state["Retry"] for e in r["ErrorEquals"]}
    assert said and said <= matched, said - matched


def test_a_hand_over_waits_long_enough():
    parameters = {n: p["Default"] for n, p in DOCUMENT["Parameters"].items()}
    longest = of("Serverless::Function")["KinesisFeatures"]["Timeout"]
    assert parameters["PauseSeconds"] >= longest + 30
    assert parameters["DrainSeconds"] > longest + 30
    assert parameters["ResumeSeconds"] >= 60  # twice as long as `serving` is believed
    held = parameters["FirehoseBufferSeconds"] + parameters["TransformBufferSeconds"] + 60
    assert parameters["SealSeconds"] >= held
    for wait, seconds in (("Pause", "pause"), ("ResumeWait", "resume"), ("Drain", "drain")):
        assert machine_times()[wait] == f"$.times.{seconds}"


def test_what_waits_for_a_run_is_told_hourly_at_least():
    (schedule,) = [s for s in of("Scheduler::Schedule").values() if "reconcile" in s["Target"]["Input"]]
    assert schedule["Target"]["Arn"] == {"GetAtt": "GlueCallback.Arn"} and schedule["ScheduleExpression"] == "rate(1 hour)"
    started = function("glue-start")["LEAT_JOBS"]
    assert started in of("Events::Rule")["JobEnded"]["EventPattern"]["detail"]["jobName"]
    assert started == of("Glue::Job")["FeaturesJob"]["Name"]


def machine_times() -> dict:
    return {n: s.get("SecondsPath") for n, s in machine_raw("promote")["States"].items() if s["Type"] == "Wait"}


def machine_raw(name: str) -> dict:
    return json.loads(workflows.text(name))


# What starts a state machine


def test_train_runs_daily_by_hand_and_by_alarm():
    (daily,) = [s for s in of("Scheduler::Schedule").values() if s["Target"]["Arn"] == {"Ref": "Train"}]
    assert daily["State"] == {"Ref": "TrainDaily"} and daily["Target"]["Input"] == "{}"
    assert DOCUMENT["Parameters"]["TrainDaily"]["AllowedValues"] == ["ENABLED", "DISABLED"]
    rule = RESOURCES["Retrain"]
    assert rule["Condition"] == "HasRetrainAlarm"
    assert rule["Properties"]["EventPattern"]["detail"] == {"alarmName": [{"Ref": "RetrainAlarm"}], "state": {"value": ["ALARM"]}}
    (target,) = rule["Properties"]["Targets"]
    assert target["Arn"] == {"Ref": "Train"} and target["Input"] == "{}", "an alarm's event is no input of train"


def test_a_stopped_promotion_is_followed_by_another_that_resumes():
    rule = of("Events::Rule")["PromotionStopped"]
    # Not FAILED: that one ran its own Catch, and a resume that fails would start the next for ever.
    assert rule["EventPattern"]["detail"]["status"] == ["ABORTED", "TIMED_OUT"]
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": "Promote"}
    assert json.loads(target["InputTransformer"]["InputTemplate"]) == {"resume": "<execution>"}
    assert machine_raw("promote")["States"]["Begin"]["Choices"][0]["Variable"] == "$.resume"


def test_a_refused_model_is_counted_and_no_failure():
    (counted,) = of("Logs::MetricFilter").values()
    assert counted["LogGroupName"] == {"Ref": "TrainLogs"}
    kind, name = re.search(r'\$.type = "(\w+)StateEntered" && \$.details.name = "(\w+)"', counted["FilterPattern"]).groups()
    states = machine("train")["States"]
    assert (states[name]["Type"], states[name]["Parameters"]["Error"]) == (kind, "Model.Worse")
    assert [n for n, s in states.items() if s["Type"] == "Fail" and s.get("Error") == "Model.Worse"] == []


def test_every_failed_execution_is_told():
    rule = of("Events::Rule")["ExecutionFailed"]
    assert rule["EventPattern"]["detail"]["stateMachineArn"] == [{"Ref": name} for name in MACHINES.values()]
    assert {"FAILED", "TIMED_OUT", "ABORTED"} == set(rule["EventPattern"]["detail"]["status"])
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": "AlarmTopic"}
    (policy,) = of("SNS::TopicPolicy").values()
    assert "events.amazonaws.com" in policy["PolicyDocument"]["Statement"][0]["Principal"]["Service"]
    assert all(r["Targets"][0]["DeadLetterConfig"] for r in of("Events::Rule").values())


def test_a_rule_that_fails_is_told():
    (entry,) = machine("train")["States"]["Tell"]["Parameters"]["Entries"]
    (hourly,) = machine("hour")["States"]["Tell"]["Parameters"]["Entries"]
    assert {k: v for k, v in hourly.items() if k != "Detail.$"} == {k: v for k, v in entry.items() if k != "Detail.$"}
    rule = of("Events::Rule")["DataQualityFailed"]
    pattern = rule["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == ([entry["Source"]], [entry["DetailType"]])
    assert not entry["Source"].startswith("aws."), "that is reserved"
    # Of this stage's state machines alone.
    assert pattern["resources"] == [{"Ref": "Train"}, {"Ref": "Hour"}] and entry["Resources.$"] == "States.Array($$.StateMachine.Id)"
    assert pattern["detail"] == {"alarm": [True]}
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": "AlarmTopic"}
    for name in ("train", "hour"):
        (allowed,) = [s for s in role_of(name) if "events:PutEvents" in listed(s["Action"])]
        assert allowed["Condition"] == {"StringEquals": {"events:source": entry["Source"]}}


# The stream, hour by hour


def test_each_hour_is_judged_once_it_is_over():
    (schedule,) = [s for s in of("Scheduler::Schedule").values() if s["Target"]["Arn"] == {"Ref": "Hour"}]
    assert re.fullmatch(r"cron\(([5-9]|[1-5]\d) \* \* \* \? \*\)", schedule["ScheduleExpression"]), "what is put each minute is there"
    assert json.loads(schedule["Target"]["Input"]) == {"step": "hour", "scheduled": "<aws.scheduler.scheduled-time>"}
    assert machine("hour")["States"]["Judge"]["Parameters"]["Payload.$"] == "$"


def test_parts_of_hours_are_put_where_they_may_be_and_do_not_pile_up():
    artifacts = function("kinesis-features")["LEAT_ARTIFACTS"]
    assert artifacts == function("quality-gate")["LEAT_ARTIFACTS"]
    puts = [
        text(r)
        for name, s in statements()
        if name == "KinesisFeaturesRole" and listed(s["Action"]) == ["s3:PutObject"]
        for r in listed(s["Resource"])
    ]
    lake = [p for p in puts if "-lake-" in p]
    assert len(lake) == 1 and "/artifacts/quality/${Recipe}/hours/*" in lake[0]
    (rule,) = [r for r in of("S3::Bucket")["LakeBucket"]["LifecycleConfiguration"]["Rules"] if r["Id"] == "hours"]
    assert rule["Prefix"] == {"Sub": "artifacts/quality/${Recipe}/hours/"} and rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_the_drift_of_the_stream_has_an_alarm_that_train_can_be_started_by():
    alarm = of("CloudWatch::Alarm")["DriftAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Leat", "drift_failed")
    dimensions = {d["Name"]: d["Value"] for d in alarm["Dimensions"]}
    assert dimensions == {"function": "quality-gate", "recipe": {"Ref": "Recipe"}, "dataset": {"Ref": "Recipe"}, "over": "hour"}
    assert alarm["AlarmName"] == {"Sub": "leat-${Stage}-drift"}
    assert "leat-<stage>-drift" in DOCUMENT["Parameters"]["RetrainAlarm"]["Description"]


# Feature Store and catalogue


def recipe() -> dict:
    return yaml.safe_load((ROOT / "recipes" / "card-transactions" / "recipe.yaml").read_text())


def window_columns(windows: list) -> list[str]:
    found = []
    for window in windows:
        for span in window.get("over", []):
            for kind, column in window.items():
                if kind in ("sum", "mean", "max", "min", "count_distinct"):
                    found.append(f"{column}_{kind}_{span}")
                elif kind == "count":
                    found.append(f"count_{span}")
        # A session's id is no feature of a model.
        found += [f"session_{e}" for e in window.get("emit", []) if "session" in window and e != "id"]
    return found


def test_the_feature_group_is_the_recipes():
    (group,) = of("SageMaker::FeatureGroup").values()
    roles = {f["role"]: f["name"] for f in recipe()["schema"]["fields"] if "role" in f}
    assert group["RecordIdentifierFeatureName"] == roles["entity"]
    assert group["EventTimeFeatureName"] == roles["event_time"]
    names = [f["FeatureName"] for f in group["FeatureDefinitions"]]
    derived = [*recipe()["derive"], *window_columns(recipe()["windows"])]
    assert set(names) == {roles["entity"], roles["event_time"], *derived, "recipe_hash", "state_hash"}
    assert function("feature-store-ingest")["LEAT_FEATURES"].split(",") == names[2:]
    assert group["OnlineStoreConfig"] == {"EnableOnlineStore": True, "SecurityConfig": {"KmsKeyId": {"GetAtt": "LakeKey.Arn"}}}
    storage = group["OfflineStoreConfig"]["S3StorageConfig"]
    assert storage["S3Uri"] == {"Sub": "s3://${LakeBucket}/curated/feature-store/"} and storage["KmsKeyId"]
    kinds = {f["FeatureName"]: f["FeatureType"] for f in group["FeatureDefinitions"]}
    for name, kind in kinds.items():
        counted = name.startswith("count_") or name in ("session_count", "is_remote")
        text_like = name in (roles["entity"], roles["event_time"], "recipe_hash", "state_hash")
        assert kind == ("Integral" if counted else "String" if text_like else "Fractional"), name


def catalogued(name: str) -> dict:
    (found,) = [t["TableInput"] for t in of("Glue::Table").values() if t["TableInput"]["Name"] == name]
    return found


def test_every_zone_has_a_table():
    zones = {"landing": "landing/stream/${Recipe}/", "cleansed": "cleansed/${Recipe}/", "labels": "cleansed/${Recipe}-labels/", "curated": "curated/${Recipe}/"}
    for name, place in zones.items():
        assert catalogued(name)["StorageDescriptor"]["Location"] == {"Sub": f"s3://${{LakeBucket}}/{place}"}
    assert catalogued("quarantine")["StorageDescriptor"]["Location"] == {"Sub": "s3://${QuarantineBucket}/quarantine/${Recipe}/"}
    for table in of("Glue::Table").values():
        parameters = table["TableInput"]["Parameters"]
        keys = [k["Name"] for k in table["TableInput"]["PartitionKeys"]]
        if parameters.get("projection.enabled") == "true":
            assert {k.split(".")[1] for k in parameters if k.startswith("projection.") and k.endswith(".type")} == set(keys)
    (crawler,) = of("Glue::Crawler").values()
    (target,) = crawler["Targets"]["CatalogTargets"]
    unprojected = {n for n, t in of("Glue::Table").items() if "projection.enabled" not in t["TableInput"]["Parameters"]}
    assert {t["Ref"] for t in target["Tables"]} == unprojected


def test_cleansed_rows_are_catalogued_with_the_recipes_types():
    kinds = {"string": "string", "long": "bigint", "double": "double", "timestamp": "timestamp"}
    columns = {c["Name"]: c["Type"] for c in catalogued("cleansed")["StorageDescriptor"]["Columns"]}
    for field in recipe()["schema"]["fields"]:
        assert columns[field["name"]] == kinds[field["type"]]
    assert {"_source", "_shard", "_sequence", "_sub", "_line", "_arrival", "_verdict", "_protected", "_unknown"} < set(columns)
    assert [k["Name"] for k in catalogued("cleansed")["PartitionKeys"]] == ["date", "bucket", "unit"]


def test_the_image_is_the_regions_or_the_one_given():
    image = of("StepFunctions::StateMachine")["Train"]["DefinitionSubstitutions"]["XgboostImage"]
    assert image == of("StepFunctions::StateMachine")["Promote"]["DefinitionSubstitutions"]["XgboostImage"]
    assert image["If"][0] == "OwnXgboost" and "sagemaker-xgboost:" in text(image)
    assert {"us-east-1", "eu-west-1", "ap-east-1"} < set(DOCUMENT["Mappings"]["Xgboost"])


def test_every_parameter_has_a_default():
    assert all("Default" in p for p in DOCUMENT["Parameters"].values())
