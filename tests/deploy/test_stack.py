"""The template as CloudFormation: translated by SAM itself, then created on moto."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from local.build import SAM
from tests.engines import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = [
    pytest.mark.container,  # it needs SAM, as `make build` does
    pytest.mark.filterwarnings("ignore:Tried to parse AWS"),  # moto makes no HTTP APIs
]
FUNCTIONS = ("DashboardFunction", "IngestFunction", "KeysFunction")
TABLES = ("KeysTable", "LogsTable")


@pytest.fixture(scope="module")
def stack() -> Any:
    """What SAM makes of the template."""
    python = SAM.parent / "python"
    if not python.exists():
        pytest.skip("SAM is not installed: run `make build`")
    command = [str(python), str(Path(__file__).with_name("translate.py"))]
    done = subprocess.run(
        command, input=(ROOT / "template.yaml").read_text(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def resources(stack: Any, kind: str) -> dict[str, Any]:
    """The resources of one type, by logical id."""
    return {name: each for name, each in stack["Resources"].items() if each["Type"] == kind}


@pytest.fixture(scope="module")
def created(stack: Any) -> Iterator[dict[str, str]]:
    """The physical id of everything in a stack that was created with nothing but defaults."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="code")
        s3.put_object(Bucket="code", Key="function.zip", Body=code.getvalue())
        formation = boto3.client("cloudformation")
        formation.create_stack(StackName="analytics", TemplateBody=json.dumps(stack), Capabilities=["CAPABILITY_IAM"])
        (described,) = formation.describe_stacks()["Stacks"]
        assert described["StackStatus"] == "CREATE_COMPLETE"
        found = formation.describe_stack_resources(StackName="analytics")["StackResources"]
        yield {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found if "PhysicalResourceId" in each}
        for client in (s3, formation):
            client.close()


def test_it_deploys_with_nothing_but_defaults(stack: Any) -> None:
    """Every parameter has one, so that `sam deploy --guided` asks and Enter answers."""
    assert [name for name, parameter in stack["Parameters"].items() if "Default" not in parameter] == []
    assert stack["Parameters"]["SignupToken"]["NoEcho"] is True


def test_the_tables_are_what_the_code_expects(created: dict[str, str]) -> None:
    """They have its keys, and are billed by the request."""
    client: DynamoDBClient = boto3.client("dynamodb")
    keys = {"KeysTable": ["key_hash"], "LogsTable": ["api_key", "timestamp"]}
    for logical, names in keys.items():
        table = client.describe_table(TableName=created[logical])["Table"]
        assert [key["AttributeName"] for key in table["KeySchema"]] == names
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    client.close()


def test_the_data_outlives_the_stack(stack: Any) -> None:
    """Deleting the stack, or replacing a table, deletes no table; they are protected, encrypted, recoverable.

    Single items do expire, by the attribute that the code sets; moto does not take that from CloudFormation.
    """
    for table in resources(stack, "AWS::DynamoDB::Table").values():
        assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
        properties = table["Properties"]
        assert properties["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
        assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert stack["Parameters"]["DeletionProtection"]["Default"] == "true"


def test_each_function_has_a_role_of_its_own(stack: Any, created: dict[str, str]) -> None:
    """Only Lambda may take it; beside its tables it may write log lines; it says so without a wildcard."""
    roles = resources(stack, "AWS::IAM::Role")
    assert sorted(roles) == [f"{name}Role" for name in FUNCTIONS]
    for name in FUNCTIONS:
        role = roles[f"{name}Role"]["Properties"]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": ["lambda.amazonaws.com"]}
        (managed,) = role["ManagedPolicyArns"]
        assert str(managed).endswith("service-role/AWSLambdaBasicExecutionRole")
        statements = [each for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]]
        for statement in statements:
            assert statement["Resource"]["Fn::GetAtt"][0] in TABLES
            assert "*" not in json.dumps(statement["Action"])
        assert created[f"{name}Role"].startswith("analytics-")


def test_functions_log_as_json_into_groups_that_expire(stack: Any, created: dict[str, str]) -> None:
    """Each has a log group that the template made, with a retention; nothing is traced unless somebody turns it on."""
    for name, function in resources(stack, "AWS::Lambda::Function").items():
        group = name.replace("Function", "LogGroup")
        assert function["Properties"]["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": group}}
        assert "TracingConfig" not in function["Properties"]
    client = boto3.client("logs")
    groups = client.describe_log_groups()["logGroups"]
    client.close()
    assert [group["retentionInDays"] for group in groups] == [30, 30, 30]


def test_someone_is_told_when_it_fails(stack: Any) -> None:
    """Alarms on 5xx answers, on errors and throttles of any function; they send mail only if an address is given."""
    alarms = resources(stack, "AWS::CloudWatch::Alarm")
    assert sorted(alarms) == ["ErrorsAlarm", "ServerErrorsAlarm", "ThrottlesAlarm"]
    for kind in ("Errors", "Throttles"):
        metrics = [each["MetricStat"]["Metric"] for each in alarms[f"{kind}Alarm"]["Properties"]["Metrics"][:-1]]
        assert {metric["MetricName"] for metric in metrics} == {kind}
        assert sorted(metric["Dimensions"][0]["Value"]["Ref"] for metric in metrics) == list(FUNCTIONS)
    for alarm in alarms.values():
        assert alarm["Properties"]["AlarmActions"]["Fn::If"][:2] == ["HasAlarmEmail", [{"Ref": "AlarmTopic"}]]
    assert resources(stack, "AWS::SNS::Topic")["AlarmTopic"]["Condition"] == "HasAlarmEmail"


def test_the_api_is_throttled_and_open_to_no_other_site(stack: Any) -> None:
    """Sign-up much tighter than the rest; no CORS; every route of every function is in it."""
    (stage,) = resources(stack, "AWS::ApiGatewayV2::Stage").values()
    limits = {"ThrottlingRateLimit": {"Ref": "RateLimit"}, "ThrottlingBurstLimit": {"Ref": "BurstLimit"}}
    assert stage["Properties"]["DefaultRouteSettings"] == limits
    assert list(stage["Properties"]["RouteSettings"]) == ["POST /generate_key"]
    (api,) = resources(stack, "AWS::ApiGatewayV2::Api").values()
    assert "CorsConfiguration" not in api["Properties"]
    assert "x-amazon-apigateway-cors" not in api["Properties"]["Body"]
    assert {"/track", "/track/batch", "/dashboard", "/raw_logs", "/generate_key"} <= set(
        api["Properties"]["Body"]["paths"]
    )


def test_cfn_lint_finds_nothing(stack: Any) -> None:
    """In the template, nor in what SAM makes of it."""
    linter = SAM.parent / "cfn-lint"
    done = subprocess.run([linter, ROOT / "template.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
