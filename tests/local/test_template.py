"""template.yaml as values."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.cloudformation import TemplateError
from local.template import Cors, Function, Route, Schedule, Table, read

ROOT = Path(__file__).parents[2]
STACK = Path(__file__).parent / "stack" / "template.yaml"


def test_small_stack_is_read_whole() -> None:
    """Tables, functions with resolved variables, routes and import paths come out as the template says."""
    template = read(STACK)
    assert template.tables == (
        Table(
            name="Items",
            create={
                "TableName": "Items",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            },
            ttl_attribute="ttl",
        ),
    )
    assert template.functions == {
        "Shop": Function(
            name="Shop",
            module="shop.app",
            attribute="handler",
            environment={"ITEMS_TABLE": "Items", "GREETING": "hello", "KEEP": "7 days in Items"},
            timeout=25.0,
            memory=256,
        )
    }
    assert template.routes == (
        Route("POST", "/echo/{name}", "Shop"),
        Route("GET", "/meet", "Shop"),
        Route("ANY", "/items/{id}", "Shop"),
    )
    assert template.import_paths == (str(STACK.parent),)
    assert template.cors is None
    assert read(STACK, {"Origin": "*"}).cors == Cors(origins=("*",), methods=("GET",))


def test_deployed_stack_serves_the_contract() -> None:
    """The repository's template routes every path of the contract to the function that answers it."""
    template = read(ROOT / "template.yaml")
    routes = {route.key: route.function for route in template.routes}
    assert {key.replace("HEAD ", "GET "): function for key, function in routes.items() if key.startswith("HEAD")} == {
        key: function for key, function in routes.items() if key.startswith("GET")
    }
    assert {key: function for key, function in routes.items() if not key.startswith("HEAD")} == {
        "POST /track": "IngestFunction",
        "POST /track/batch": "IngestFunction",
        "GET /dashboard": "DashboardFunction",
        "GET /raw_logs": "DashboardFunction",
        "GET /": "DashboardFunction",
        "GET /docs": "DashboardFunction",
        "GET /openapi.json": "DashboardFunction",
        "GET /health": "DashboardFunction",
        "GET /assets/{name}": "DashboardFunction",
        "POST /generate_key": "KeysFunction",
        "GET /keys": "KeysFunction",
        "POST /rotate_key": "KeysFunction",
        "DELETE /key": "KeysFunction",
    }
    assert {name: function.module for name, function in template.functions.items()} == {
        "IngestFunction": "functions.ingest.app",
        "DashboardFunction": "functions.dashboard.app",
        "KeysFunction": "functions.keys.app",
    }
    for function in template.functions.values():
        assert function.environment == {
            "LOGS_TABLE": "LogsTable",
            "KEYS_TABLE": "KeysTable",
            "SIGNUP_TOKEN": "",
            "RAW_RETENTION_DAYS": "90",
            "SUMMARY_RETENTION_DAYS": "400",
            "DAILY_QUOTA": "0",
            "BASE_PATH": "",
            "AWS_ENDPOINT_URL_DYNAMODB": "",
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
        }
        assert function.timeout < 30  # the HTTP API's own limit
    assert (template.schedules, template.cors) == ((Schedule("DashboardFunction", 3600),), None)
    assert [(table.name, table.ttl_attribute) for table in template.tables] == [
        ("LogsTable", "ttl"),
        ("KeysTable", "ttl"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Resources: {", "is not YAML"),
        ("Parameters: {}", "has no Resources"),
        ("- a list", "has no Resources"),
        (STACK.read_text().replace("!Ref Greeting", "!Ref Nothing"), "!Ref Nothing: no such parameter or resource"),
        (STACK.read_text().replace("!Ref Greeting", "!GetAtt Items.Arn"), "understands !Ref, !Sub and !If"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A template that cannot be read, or says what only AWS understands in a variable, is refused in one sentence."""
    file = tmp_path / "template.yaml"
    file.write_text(text)
    with pytest.raises(TemplateError, match=message):
        read(file)


def test_missing_template_is_named(tmp_path: Path) -> None:
    """A template that is not there is named in the error."""
    with pytest.raises(TemplateError, match=r"nowhere\.yaml: No such file"):
        read(tmp_path / "nowhere.yaml")


def test_parameters_are_set_by_name_or_by_their_variable() -> None:
    """A given value wins over the shell's, that over the default; a table keeps its name; what does nothing is told."""
    shell = {"RAW_RETENTION_DAYS": "7", "SIGNUP_TOKEN": "secret", "DAILY_QUOTA": "", "LOGS_TABLE": "elsewhere"}
    given = {"AllowedOrigin": "https://app.example.com", "RawRetentionDays": "30", "RateLimit": "5"}
    template = read(ROOT / "template.yaml", given, shell)
    variables = template.functions["IngestFunction"].environment
    chosen = {name: variables[name] for name in shell}
    assert chosen == {
        "RAW_RETENTION_DAYS": "30",
        "SIGNUP_TOKEN": "secret",
        "DAILY_QUOTA": "0",
        "LOGS_TABLE": "LogsTable",
    }
    assert (template.from_environment, template.without_effect) == (("SIGNUP_TOKEN",), ("RateLimit",))
    assert template.cors == Cors(
        origins=("https://app.example.com",),
        methods=("GET", "POST", "DELETE"),
        headers=("authorization", "content-encoding", "content-type", "x-api-key"),
        exposed=("link", "retry-after"),
        max_age="600",
    )


@pytest.mark.parametrize(
    ("parameters", "shell", "message"),
    [
        ({"RawRetention": "7"}, {}, "there is no parameter RawRetention; there are: Runtime, "),
        ({"RawRetentionDays": "0"}, {}, "the parameter RawRetentionDays must be one of 1, 3, 7, 14, .*, not '0'"),
        ({"SummaryRetentionDays": "8"}, {}, "the parameter SummaryRetentionDays must be one of 1, 3, .*, not '8'"),
        ({"RateLimit": "0"}, {}, "the parameter RateLimit must be at least 1, not '0'"),
        ({"LogLevel": "DEBUG"}, {}, "the parameter LogLevel must be one of INFO, WARN, ERROR, not 'DEBUG'"),
        ({}, {"RAW_RETENTION_DAYS": "0"}, "RAW_RETENTION_DAYS in the environment must be one of 1, 3, .*, not '0'"),
        ({}, {"BASE_PATH": "/app/"}, r"BASE_PATH in the environment cannot be '/app/': has no slash at its ends"),
        ({}, {"DAILY_QUOTA": "many"}, "DAILY_QUOTA in the environment must be a number, not 'many'"),
        ({"FoldSchedule": "cron(0 3 * * ? *)"}, {}, r"understands schedules such as rate\(1 hour\), not cron"),
    ],
)
def test_a_value_that_the_template_refuses_is_named(
    parameters: dict[str, str], shell: dict[str, str], message: str
) -> None:
    """A parameter that is not there, or has a value that a deployment would refuse, is an error that names it."""
    with pytest.raises(TemplateError, match=message):
        read(ROOT / "template.yaml", parameters, shell)
