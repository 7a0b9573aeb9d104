"""Under AUTH=true a workflow, a job and a runtime act with their own roles, and with no more."""

import io
import json
import uuid
import zipfile

import boto3
import pytest
from botocore.exceptions import ClientError
from conftest import Aws
from test_sagemaker_jobs import XGBOOST
from test_states import Workflows, distributed, task, training

from leat_local import stack

ACCOUNT = "000000000000"


class Guarded(Aws):
    """A local AWS that asks for rights, and roles with just some of them."""

    def role(self, **rights) -> str:
        """A role that may do what `rights` says: `sqs="sqs:SendMessage arn:…"`, action and resource."""
        name = f"test-{uuid.uuid4().hex[:8]}"
        services = ["states.amazonaws.com", "sagemaker.amazonaws.com", "lambda.amazonaws.com"]
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
            ],
        }
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))[
            "Role"
        ]["Arn"]
        self.allow(made, **rights)
        return made

    def allow(self, role: str, **rights) -> None:
        statements = []
        for words in rights.values():
            action, _, resource = words.partition(" ")
            statements.append(
                {"Effect": "Allow", "Action": action.split(","), "Resource": resource}
            )
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            self.iam.put_role_policy(
                RoleName=role.rpartition("/")[2], PolicyName="work", PolicyDocument=policy
            )

    def acting(self, role: str, service: str):
        keys = self.sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=stack.REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    home = tmp_path_factory.mktemp("guarded")
    yield Guarded(stack.up(home, owned=True, auth=True).endpoint)
    stack.down(home)


@pytest.fixture
def workflows(guarded, until):
    return Workflows(guarded, until)


def run(workflows, role: str, states: dict, given=None) -> dict:
    machine = workflows.states.create_state_machine(
        name=f"test-{uuid.uuid4().hex[:8]}",
        definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        roleArn=role,
    )["stateMachineArn"]
    return workflows.ended(workflows.start(machine, given))


def denied(done: dict, error: str, action: str) -> bool:
    return (
        done["status"] == "FAILED"
        and done["error"] == error
        and f"perform: {action}" in done["cause"]
    )


def test_a_workflow_acts_with_its_role(guarded, workflows):
    bucket = guarded.bucket()
    guarded.s3.put_object(Bucket=bucket, Key="read/a", Body=b"{}")
    states = {
        "Read": task(
            "aws-sdk:s3:getObject",
            {"Bucket": bucket, "Key": "read/a"},
            ResultPath=None,
            Next="Write",
        ),
        "Write": task("aws-sdk:s3:putObject", {"Bucket": bucket, "Key": "write/a", "Body": {}}),
    }
    role = guarded.role()
    assert run(workflows, role, states)["error"] == "S3.S3Exception"
    guarded.allow(role, read=f"s3:GetObject arn:aws:s3:::{bucket}/read/*")
    done = run(workflows, role, states)
    assert done["error"] == "S3.S3Exception" and "s3:PutObject" in done["cause"]
    guarded.allow(
        role,
        read=f"s3:GetObject arn:aws:s3:::{bucket}/read/*",
        write=f"s3:PutObject arn:aws:s3:::{bucket}/write/*",
    )
    assert run(workflows, role, states)["status"] == "SUCCEEDED"


def test_a_function_is_invoked_with_the_right_to(guarded, workflows):
    code = "def handler(event, context):\n    return event\n"
    name = f"test-{uuid.uuid4().hex[:8]}"
    function = _function(guarded, name, code)
    states = {"Ask": task("lambda:invoke", {"FunctionName": function, "Payload": {}})}
    role = guarded.role(other=f"lambda:InvokeFunction {function}-2")
    assert denied(
        run(workflows, role, states), "Lambda.AWSLambdaException", "lambda:InvokeFunction"
    )
    guarded.allow(role, own=f"lambda:InvokeFunction {function}")
    assert run(workflows, role, states)["status"] == "SUCCEEDED"


def _function(guarded, name: str, code: str) -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", code)
    return getattr(guarded, "lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=guarded.role(),
        Handler="index.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=20,
    )["FunctionArn"]


def test_events_are_put_with_the_right_to_their_source(guarded, workflows):
    event = {"Source": "leat.quality", "DetailType": "told", "Detail": {}, "EventBusName": "default"}
    states = {"Tell": task("events:putEvents", {"Entries": [event]})}
    bus = f"arn:aws:events:{stack.REGION}:{ACCOUNT}:event-bus/default"
    role = guarded.role()

    def allow(source: str) -> None:
        statement = {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": bus,
            "Condition": {"StringEquals": {"events:source": source}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        guarded.iam.put_role_policy(RoleName=role.rpartition("/")[2], PolicyName="work", PolicyDocument=policy)

    allow("another")
    assert denied(run(workflows, role, states), "Events.AccessDeniedException", "events:PutEvents")
    allow("leat.quality")
    assert run(workflows, role, states)["status"] == "SUCCEEDED"


def test_items_are_read_with_the_right_to(guarded, workflows):
    bucket = guarded.bucket()
    guarded.s3.put_object(Bucket=bucket, Key="items.json", Body=b"[1, 2]")
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket": bucket, "Key": "items.json"},
    }
    states = {"Map": distributed({"One": {"Type": "Pass", "End": True}}, ItemReader=reader)}
    role = guarded.role()
    assert denied(run(workflows, role, states), "States.ItemReaderFailed", "s3:GetObject")
    guarded.allow(role, read=f"s3:GetObject arn:aws:s3:::{bucket}/items.json")
    assert json.loads(run(workflows, role, states)["output"]) == [1, 2]


def test_a_table_is_written_with_the_right_to(guarded, workflows):
    table = f"test-{uuid.uuid4().hex[:8]}"
    arn = guarded.dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]["TableArn"]
    states = {"Put": task("dynamodb:putItem", {"TableName": table, "Item": {"pk": {"S": "a"}}})}
    role = guarded.role(read=f"dynamodb:GetItem {arn}")
    assert denied(
        run(workflows, role, states), "DynamoDB.AmazonDynamoDBException", "dynamodb:PutItem"
    )
    guarded.allow(role, write=f"dynamodb:PutItem {arn}")
    assert run(workflows, role, states)["status"] == "SUCCEEDED"


def test_a_mapping_is_paused_with_the_right_to_that_mapping(guarded, workflows):
    function = _function(
        guarded, f"test-{uuid.uuid4().hex[:8]}", "def handler(event, context):\n    pass\n"
    )
    _, stream = guarded.stream()
    mapping = getattr(guarded, "lambda").create_event_source_mapping(
        EventSourceArn=stream, FunctionName=function, StartingPosition="LATEST"
    )["UUID"]
    states = {
        "Pause": task(
            "aws-sdk:lambda:updateEventSourceMapping",
            {"Uuid": mapping, "Enabled": False},
            Next="Look",
        ),
        "Look": task("aws-sdk:lambda:getEventSourceMapping", {"Uuid": mapping}),
    }
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:{mapping}"
    role = guarded.role(pause=f"lambda:UpdateEventSourceMapping {arn}")
    done = run(workflows, role, states)
    assert (
        done["error"] == "Lambda.LambdaException"
        and "lambda:GetEventSourceMapping" in done["cause"]
    ), done
    guarded.allow(role, both=f"lambda:UpdateEventSourceMapping,lambda:GetEventSourceMapping {arn}")
    assert run(workflows, role, states)["status"] == "SUCCEEDED"


def test_a_nested_execution_needs_its_rights_those_of_sync_too(guarded, workflows):
    child = workflows.states.create_state_machine(
        name=f"test-{uuid.uuid4().hex[:8]}",
        definition=json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}),
        roleArn=guarded.role(),
    )["stateMachineArn"]
    states = {
        "Child": task("states:startExecution.sync:2", {"StateMachineArn": child, "Input": {}})
    }
    rights = {"start": f"states:StartExecution {child}"}
    role, error = guarded.role(**rights), "StepFunctions.AWSStepFunctionsException"
    assert denied(run(workflows, role, states), error, "states:DescribeExecution")
    executions = child.replace(":stateMachine:", ":execution:") + ":*"
    rights["follow"] = f"states:DescribeExecution,states:StopExecution {executions}"
    guarded.allow(role, **rights)
    assert denied(run(workflows, role, states), error, "events:PutTargets")
    rule = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
    rights["rule"] = f"events:PutTargets,events:PutRule,events:DescribeRule {rule}"
    guarded.allow(role, **rights)
    assert run(workflows, role, states)["status"] == "SUCCEEDED"


def test_a_training_needs_the_right_to_pass_its_role_and_reads_with_that_role(guarded, workflows):
    bucket, name = guarded.bucket(), f"test-{uuid.uuid4().hex[:8]}"
    guarded.s3.put_object(Bucket=bucket, Key="train/0.csv", Body=b"1,0.9\n0,0.1\n" * 50)
    worker = guarded.role()

    def states(job: str) -> dict:
        given = {**training(bucket, job), "RoleArn": worker}
        return {"Train": task("sagemaker:createTrainingJob.sync", given)}

    rule = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule"
    rights = {
        "job": "sagemaker:CreateTrainingJob,sagemaker:DescribeTrainingJob,sagemaker:StopTrainingJob "
        f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/test-*",
        "rule": f"events:PutTargets,events:PutRule,events:DescribeRule {rule}",
    }
    role, error = guarded.role(**rights), "SageMaker.AmazonSageMakerException"
    assert denied(run(workflows, role, states(name)), error, "iam:PassRole")
    rights["pass"] = f"iam:PassRole {worker}"
    guarded.allow(role, **rights)
    done = run(workflows, role, states(name))
    assert done["error"] == "States.TaskFailed", done
    assert "AccessDenied" in json.loads(done["cause"])["FailureReason"]
    guarded.allow(
        worker,
        list=f"s3:ListBucket arn:aws:s3:::{bucket}",
        read=f"s3:GetObject arn:aws:s3:::{bucket}/train/*",
        write=f"s3:PutObject arn:aws:s3:::{bucket}/out/*",
    )
    done = run(workflows, role, states(f"{name}-2"))
    assert done["status"] == "SUCCEEDED", done


def test_sagemakers_calls_are_asked_for(guarded, until):
    name = f"test-{uuid.uuid4().hex[:8]}"
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:feature-group/{name}"
    guarded.sagemaker.create_feature_group(
        FeatureGroupName=name,
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": "id", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "Fractional"},
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
    )
    record = [
        {"FeatureName": "id", "ValueAsString": "a"},
        {"FeatureName": "at", "ValueAsString": "1"},
    ]
    role = guarded.role(read=f"sagemaker:GetRecord {arn}")
    runtime = guarded.acting(role, "sagemaker-featurestore-runtime")
    with pytest.raises(ClientError, match="sagemaker:PutRecord"):
        runtime.put_record(FeatureGroupName=name, Record=record)
    assert "Record" not in runtime.get_record(
        FeatureGroupName=name, RecordIdentifierValueAsString="a"
    )
    guarded.allow(role, write=f"sagemaker:PutRecord {arn}")
    runtime.put_record(FeatureGroupName=name, Record=record)
    with pytest.raises(ClientError, match="sagemaker:CreateModel"):
        guarded.acting(role, "sagemaker").create_model(
            ModelName=name, PrimaryContainer={"Image": XGBOOST}, ExecutionRoleArn=role
        )
    with pytest.raises(ClientError, match="sagemaker:InvokeEndpoint"):
        guarded.acting(role, "sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"1")
