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
import yaml
from moto import mock_aws

from analytics.emf import line
from local.tools.build import BUILT, SAM, settle
from tests.support.engines import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = [
    pytest.mark.container,  # it needs SAM, as `make build` does
    pytest.mark.filterwarnings("ignore:Tried to parse AWS"),  # moto makes no HTTP APIs
]
FUNCTIONS = ("DashboardFunction", "IngestFunction", "KeysFunction")
TABLES = ("KeysTable", "LogsTable")


def translated(*parameters: str, template: str = "") -> Any:
    """What SAM makes of our template or another, with values for parameters (`Name=value`) other than the defaults."""
    python = SAM.parent / "python"
    if not python.exists():
        pytest.skip("SAM is not installed: run `make build`")
    command = [str(python), str(Path(__file__).with_name("translate.py")), *parameters]
    done = subprocess.run(
        command, input=template or (ROOT / "template.yaml").read_text(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stack() -> Any:
    """What SAM makes of the template with the defaults."""
    return translated()


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
        assert function["Properties"]["LoggingConfig"] == {
            "LogFormat": "JSON",
            "ApplicationLogLevel": {"Ref": "LogLevel"},
            "LogGroup": {"Ref": group},
        }
        assert "TracingConfig" not in function["Properties"]
    assert resources(translated("Tracing=Disabled"), "AWS::IAM::Role") == resources(stack, "AWS::IAM::Role")
    client = boto3.client("logs")
    groups = client.describe_log_groups()["logGroups"]
    client.close()
    assert [group["retentionInDays"] for group in groups] == [30, 30, 30]


def test_someone_is_told_when_it_fails(stack: Any) -> None:
    """Alarms on 5xx answers, on errors and throttles of any function, and on a fold that is late or does not run.

    They send mail only if an address is given.
    """
    alarms = resources(stack, "AWS::CloudWatch::Alarm")
    assert sorted(alarms) == ["DamageAlarm", "ErrorsAlarm", "FoldAlarm", "ServerErrorsAlarm", "ThrottlesAlarm"]
    for kind in ("Errors", "Throttles"):
        metrics = [each["MetricStat"]["Metric"] for each in alarms[f"{kind}Alarm"]["Properties"]["Metrics"][:-1]]
        assert {metric["MetricName"] for metric in metrics} == {kind}
        assert sorted(metric["Dimensions"][0]["Value"]["Ref"] for metric in metrics) == list(FUNCTIONS)
    for alarm in alarms.values():
        assert alarm["Properties"]["AlarmActions"]["Fn::If"][:2] == ["HasAlarmEmail", [{"Ref": "AlarmTopic"}]]
    assert resources(stack, "AWS::SNS::Topic")["AlarmTopic"]["Condition"] == "HasAlarmEmail"


def test_the_alarm_on_folds_reads_what_the_function_prints(stack: Any) -> None:
    """Namespace, metric and dimension are the same in both; a day without a line counts as a day too late."""
    alarm = resources(stack, "AWS::CloudWatch::Alarm")["FoldAlarm"]["Properties"]
    age, share = alarm["Metrics"]
    metric = age["MetricStat"]["Metric"]
    printed = json.loads(line({"Table": "logs"}, {"OldestUnfoldedAge": (0, "Seconds")}, 0))
    (described,) = printed["_aws"]["CloudWatchMetrics"]
    assert (described["Namespace"], described["Metrics"][0]["Name"]) == (metric["Namespace"], metric["MetricName"])
    assert metric["Dimensions"] == [{"Name": "Table", "Value": {"Ref": "LogsTable"}}]
    assert described["Dimensions"] == [["Table"]]
    assert (age["MetricStat"]["Period"], share["Expression"]) == (
        86_400,
        {"Fn::Sub": "age / 86400 / ${RawRetentionDays}"},
    )
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (0.5, 2, "breaching")


def test_summaries_are_kept_no_shorter_than_logs(stack: Any) -> None:
    """The rule refuses each pair of values of which the summaries' is less, and no other; both have the same values."""
    raw, summary = (stack["Parameters"][f"{kind}RetentionDays"]["AllowedValues"] for kind in ("Raw", "Summary"))
    assert raw == summary
    assertions = [each["Assert"]["Fn::Or"] for each in stack["Rules"]["SummariesOutliveLogs"]["Assertions"]]
    for logs in raw:
        for summaries in raw:
            holds = all(
                str(logs) != is_not["Fn::Not"][0]["Fn::Equals"][1] or str(summaries) in contains["Fn::Contains"][0]
                for is_not, contains in assertions
            )
            assert holds == (summaries >= logs), (logs, summaries)


def test_tracing_is_turned_on_with_its_permission() -> None:
    """By a parameter; without it the roles know nothing of X-Ray (see above)."""
    stack = translated("Tracing=Active")
    for function in resources(stack, "AWS::Lambda::Function").values():
        assert function["Properties"]["TracingConfig"] == {"Mode": {"Ref": "Tracing"}}
    for role in resources(stack, "AWS::IAM::Role").values():
        assert "policy/awsxray" in str(role["Properties"]["ManagedPolicyArns"]).lower()


@pytest.mark.skipif(not (BUILT / "template.yaml").is_file(), reason="nothing is built: run `make build`")
def test_with_snapstart_callers_reach_published_versions(tmp_path: Path) -> None:
    """Routes and the schedule go to an alias, of a version that every value in its variables and each layer replaces.

    The one that must not be shown, SignupToken, has a stand-in. Roles stay as they are.
    """
    built = tmp_path / "template.yaml"
    built.write_text((BUILT / "template.yaml").read_text())
    plain = translated(template=built.read_text())
    settle(built, {"Runtime": "python3.13"}, snapstart=True)
    assert "*id" not in built.read_text(), "CloudFormation knows no YAML aliases"
    snapped = translated(template=built.read_text())
    (layer,) = resources(snapped, "AWS::Lambda::LayerVersion")
    versions = resources(snapped, "AWS::Lambda::Version")
    assert len(versions) == 3
    for version in versions.values():
        told = version["Properties"]["Description"]["Fn::Sub"].split()
        values = ["BasePath", "DynamoEndpoint", "DailyQuota", "RawRetentionDays", "SummaryRetentionDays"]
        assert sorted(told) == sorted(f"${{{name}}}" for name in [*values, "Release", layer])
    for function in resources(snapped, "AWS::Lambda::Function").values():
        assert function["Properties"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    aliases = {f"{name}Aliaslive" for name in FUNCTIONS}
    assert set(resources(snapped, "AWS::Lambda::Alias")) == aliases
    for permission in resources(snapped, "AWS::Lambda::Permission").values():
        assert permission["Properties"]["FunctionName"]["Ref"] in aliases
    (rule,) = resources(snapped, "AWS::Events::Rule").values()
    assert rule["Properties"]["Targets"][0]["Arn"] == {"Ref": "DashboardFunctionAliaslive"}
    (api,) = resources(snapped, "AWS::ApiGatewayV2::Api").values()
    for path in api["Properties"]["Body"]["paths"].values():
        for route in path.values():
            assert "Aliaslive}" in route["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    assert resources(snapped, "AWS::IAM::Role") == resources(plain, "AWS::IAM::Role")


def test_another_site_is_let_in_and_a_domain_added_by_parameters() -> None:
    """One origin, the methods and headers that the API knows; a domain with its mapping. Without them there is none."""
    stack = translated("AllowedOrigin=https://app.example.com")
    (api,) = resources(stack, "AWS::ApiGatewayV2::Api").values()
    condition, cors, otherwise = api["Properties"]["Body"]["x-amazon-apigateway-cors"]["Fn::If"]
    assert stack["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "AllowedOrigin"}, ""]}]}
    assert (cors["allowOrigins"], otherwise) == (["https://app.example.com"], {"Ref": "AWS::NoValue"})
    assert (cors["allowMethods"], cors["exposeHeaders"]) == (["GET", "POST", "DELETE"], ["link", "retry-after"])
    assert "x-api-key" in cors["allowHeaders"]
    (domain,) = resources(stack, "AWS::ApiGatewayV2::DomainName").values()
    (mapping,) = resources(stack, "AWS::ApiGatewayV2::ApiMapping").values()
    assert (domain["Condition"], mapping["Condition"]) == ("HasDomainName", "HasDomainName")
    assert mapping["Properties"]["Stage"] == {"Ref": "HttpApiApiGatewayDefaultStage"}
    condition, path, otherwise = mapping["Properties"]["ApiMappingKey"]["Fn::If"]
    assert stack["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "BasePath"}, ""]}]}
    assert (path, otherwise) == ({"Ref": "BasePath"}, {"Ref": "AWS::NoValue"})
    for name in ("AllowedOrigin", "DomainName", "CertificateArn", "BasePath"):
        assert stack["Parameters"][name]["Default"] == ""


def test_the_api_is_throttled_and_open_to_no_other_site(stack: Any) -> None:
    """Sign-up much tighter than the rest; no CORS unless asked; every route of every function is in it."""
    (stage,) = resources(stack, "AWS::ApiGatewayV2::Stage").values()
    limits = {"ThrottlingRateLimit": {"Ref": "RateLimit"}, "ThrottlingBurstLimit": {"Ref": "BurstLimit"}}
    assert stage["Properties"]["DefaultRouteSettings"] == limits
    assert list(stage["Properties"]["RouteSettings"]) == ["POST /generate_key"]
    (api,) = resources(stack, "AWS::ApiGatewayV2::Api").values()
    assert "CorsConfiguration" not in api["Properties"]
    assert list(api["Properties"]["Body"]["x-amazon-apigateway-cors"]) == ["Fn::If"]
    assert {"/track", "/track/batch", "/dashboard", "/raw_logs", "/generate_key"} <= set(
        api["Properties"]["Body"]["paths"]
    )


def test_checkov_finds_what_was_weighed_and_nothing_else(stack: Any, tmp_path: Path) -> None:
    """In what SAM makes of the template; `.checkov.yaml` has each exception with its reason, and none without need."""
    checkov = ROOT / ".venv-audit" / "bin" / "checkov"
    if not checkov.exists():
        pytest.skip("checkov is not installed: run `make test-containers`")
    weighed = yaml.safe_load((ROOT / ".checkov.yaml").read_text())["skip-check"]
    (tmp_path / "stack.json").write_text(json.dumps(stack))
    command = [
        str(checkov),
        "--file",
        "stack.json",
        "--framework",
        "cloudformation",
        "--skip-download",
        "--output",
        "json",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 40
    assert sorted({each["check_id"] for each in report["results"]["failed_checks"]}) == sorted(weighed)


def test_cfn_lint_finds_nothing(stack: Any) -> None:
    """In the template, nor in what SAM makes of it."""
    linter = SAM.parent / "cfn-lint"
    done = subprocess.run([linter, ROOT / "template.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
