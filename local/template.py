"""What `template.yaml` says, as values: tables, functions with their variables, routes, schedules, CORS.

Only what local emulation needs is read. What is read and not understood raises TemplateError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.cloudformation import Scope, TemplateError, checked, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LAMBDA_DEFAULT_TIMEOUT_S = 3  # AWS Lambda's, when a function states none
LAMBDA_DEFAULT_MEMORY_MB = 128
SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}


@dataclass(frozen=True)
class Table:
    """A DynamoDB table: keyword arguments of create_table, and the attribute that expires items, if any."""

    name: str
    create: dict[str, Any]
    ttl_attribute: str | None


@dataclass(frozen=True)
class Function:
    """A Lambda function: `module` and `attribute` name its handler; `timeout` is in seconds, `memory` in MB."""

    name: str
    module: str
    attribute: str
    environment: dict[str, str]
    timeout: float
    memory: int


@dataclass(frozen=True)
class Route:
    """A route of the HTTP API, as `GET /items/{id}`: method `ANY` takes every method, path `$default` every path."""

    method: str
    path: str
    function: str

    @property
    def key(self) -> str:
        """The route key as events carry it: `POST /track`, or `$default`."""
        return "$default" if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True)
class Schedule:
    """A function that is called every `seconds`."""

    function: str
    seconds: int


@dataclass(frozen=True)
class Cors:
    """Which web pages may call the HTTP API. Origins are such as `https://app.example.com`, or `*`."""

    origins: tuple[str, ...]
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: str | None = None  # seconds


@dataclass(frozen=True)
class Template:
    """The stack of one template.

    `import_paths` are the folders its code is imported from: its own, its layers'. `from_environment` names the
    variables of the environment that set a parameter, `without_effect` the given parameters that change nothing here.
    """

    tables: tuple[Table, ...]
    functions: dict[str, Function]
    routes: tuple[Route, ...]
    import_paths: tuple[str, ...]
    schedules: tuple[Schedule, ...] = ()
    cors: Cors | None = None
    from_environment: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()


def read(path: Path, parameters: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> Template:
    """Read a SAM template. Raises TemplateError when it is not understood, or a parameter has a value it refuses.

    A parameter has the value in `parameters`, else that of a variable in `environ` (as `RAW_RETENTION_DAYS`, when a
    function has a variable of that name which is a `!Ref` to the parameter), else its default.
    """
    document = load(path)
    declared, resources = document.get("Parameters", {}), document["Resources"]
    common = document.get("Globals", {}).get("Function", {})

    def of_type(kind: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, item.get("Properties", {})) for name, item in resources.items() if item.get("Type") == kind]

    functions = of_type("AWS::Serverless::Function")
    variables = {name: _variables(common, properties) for name, properties in functions}
    given = dict(parameters or {})
    settable = {name: ref for each in variables.values() for name, ref in _settable(each, declared)}
    set_by = {name: settable[name] for name in settable if (environ or {}).get(name) and settable[name] not in given}
    for name, parameter in set_by.items():
        given[parameter] = checked(declared[parameter], (environ or {})[name], f"{name} in the environment")
    scope = Scope(document, given)
    for name in parameters or {}:
        checked(declared[name], given[name], f"the parameter {name}")

    apis = of_type("AWS::Serverless::HttpApi")
    cors = next((properties["CorsConfiguration"] for _, properties in apis if "CorsConfiguration" in properties), None)
    events = [(name, event) for name, properties in functions for event in properties.get("Events", {}).values()]
    rates = [(name, event["Properties"]["Schedule"]) for name, event in events if event["Type"] == "Schedule"]
    own = [value for each in variables.values() for name, value in each.items() if not name.startswith("AWS_")]
    used = set(scope.names_in([*own, cors, rates]))
    layers = [properties["ContentUri"] for _, properties in of_type("AWS::Serverless::LayerVersion")]
    folder = path.resolve().parent
    return Template(
        tables=tuple(_table(scope.text({"Ref": name}), each) for name, each in of_type("AWS::DynamoDB::Table")),
        functions={name: _function(name, common, each, variables[name], scope) for name, each in functions},
        routes=tuple(_route(name, event["Properties"]) for name, event in events if event["Type"] == "HttpApi"),
        import_paths=(str(folder), *(str(folder / layer) for layer in layers)),
        schedules=tuple(Schedule(name, _seconds(scope.text(rate))) for name, rate in rates),
        cors=_cors(scope.value(cors)) if cors else None,
        from_environment=tuple(set_by),
        without_effect=tuple(name for name in parameters or {} if name not in used),
    )


def _variables(common: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """The variables of a function, unresolved: those for all functions, and its own."""
    shared, own = (part.get("Environment", {}).get("Variables", {}) for part in (common, properties))
    return {**shared, **own}


def _settable(variables: dict[str, Any], declared: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(variable, parameter) of each variable that is just a `!Ref` to a parameter, except AWS's own variables."""
    for name, value in variables.items():
        if isinstance(value, dict) and value.get("Ref") in declared and not name.startswith("AWS_"):
            yield name, value["Ref"]


def _seconds(rate: str) -> int:
    found = re.fullmatch(r"rate\(([1-9]\d*) (minute|hour|day)s?\)", rate)
    if not found:
        raise TemplateError(f"local emulation understands schedules such as rate(1 hour), not {rate}")
    return int(found[1]) * SECONDS[found[2]]


def _cors(configuration: dict[str, Any] | None) -> Cors | None:
    if configuration is None:
        return None
    origins, methods, headers, exposed = (
        tuple(configuration.get(name, ())) for name in ("AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders")
    )
    return Cors(origins, methods, headers, exposed, configuration.get("MaxAge"))


def _table(name: str, properties: dict[str, Any]) -> Table:
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes")
    create = {key: properties[key] for key in wanted if key in properties}
    ttl = properties.get("TimeToLiveSpecification", {})
    return Table(
        name=name,
        create={"TableName": name, "BillingMode": "PAY_PER_REQUEST", **create},
        ttl_attribute=ttl.get("AttributeName") if ttl.get("Enabled") else None,
    )


def _function(
    name: str, common: dict[str, Any], properties: dict[str, Any], variables: dict[str, Any], scope: Scope
) -> Function:
    module, _, attribute = properties["Handler"].rpartition(".")
    folder = properties["CodeUri"].removeprefix("./").strip("/").replace("/", ".")
    merged = common | properties
    return Function(
        name=name,
        module=f"{folder}.{module}".replace("/", "."),
        attribute=attribute,
        environment={key: scope.text(value) for key, value in variables.items()},
        timeout=float(merged.get("Timeout", LAMBDA_DEFAULT_TIMEOUT_S)),
        memory=int(merged.get("MemorySize", LAMBDA_DEFAULT_MEMORY_MB)),
    )


def _route(function: str, event: dict[str, Any]) -> Route:
    method = str(event.get("Method", "ANY")).upper()
    return Route(
        "ANY" if method == "X-AMAZON-APIGATEWAY-ANY-METHOD" else method, event.get("Path", "$default"), function
    )
