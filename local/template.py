"""What `template.yaml` says, as values: tables, functions with their variables, routes.

Only what local emulation needs is understood: `!Ref` and `!Sub` of parameters and resources. Anything else that is
asked for raises TemplateError, so that a template can not silently mean something else here than on AWS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

LAMBDA_DEFAULT_TIMEOUT_S = 3  # AWS Lambda's, when a function states none
LAMBDA_DEFAULT_MEMORY_MB = 128


class TemplateError(Exception):
    """The template can not be read or says something that local emulation does not understand; one sentence."""


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
class Template:
    """The stack of one template; `import_paths` are the folders its code is imported from (its own, its layers')."""

    tables: tuple[Table, ...]
    functions: dict[str, Function]
    routes: tuple[Route, ...]
    import_paths: tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags: `!Ref X` becomes {"Ref": "X"}, `!GetAtt A.B` {"Fn::GetAtt": "A.B"}."""


def _tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


def read(path: Path) -> Template:
    """Read a SAM template. Raises TemplateError when it is missing, no YAML, or not understood."""
    try:
        document = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise TemplateError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TemplateError(f"{path} is not YAML: {error}") from error
    resources = document.get("Resources", {}) if isinstance(document, dict) else {}
    if not resources:
        raise TemplateError(f"{path} has no Resources")
    names = _names(document.get("Parameters", {}), resources)
    common = document.get("Globals", {}).get("Function", {})

    def of_type(kind: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, item.get("Properties", {})) for name, item in resources.items() if item.get("Type") == kind]

    functions = of_type("AWS::Serverless::Function")
    layers = [properties["ContentUri"] for _, properties in of_type("AWS::Serverless::LayerVersion")]
    folder = path.resolve().parent
    return Template(
        tables=tuple(_table(names[name], properties) for name, properties in of_type("AWS::DynamoDB::Table")),
        functions={name: _function(name, common, properties, names) for name, properties in functions},
        routes=tuple(route for name, properties in functions for route in _routes(name, properties)),
        import_paths=(str(folder), *(str(folder / layer) for layer in layers)),
    )


def resolve(value: Any, names: dict[str, str]) -> str:
    """The text that a value means: literals as they are, `!Ref` and `!Sub` by `names`. Raises TemplateError."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, dict) and len(value) == 1:
        ((kind, argument),) = value.items()
        if kind == "Ref":
            return _named(argument, names)
        if kind == "Fn::Sub" and isinstance(argument, str):
            return re.sub(r"\$\{([^}!]+)\}", lambda match: _named(match[1], names), argument)
    raise TemplateError(f"local emulation understands !Ref and !Sub in a variable, not {value}")


def _named(name: str, names: dict[str, str]) -> str:
    if name not in names:
        raise TemplateError(f"!Ref {name}: no such parameter or resource")
    return names[name]


def _names(parameters: dict[str, Any], resources: dict[str, Any]) -> dict[str, str]:
    """What `!Ref` gives: a parameter's default, a table's name, else the logical id (as `sam local` has it)."""
    names = {"AWS::Region": "us-east-1", "AWS::AccountId": "123456789012", "AWS::StackName": "local"}
    names |= {name: resolve(parameter.get("Default", ""), names) for name, parameter in parameters.items()}
    return names | {
        name: resolve(resource.get("Properties", {}).get("TableName", name), names)
        for name, resource in resources.items()
    }


def _table(name: str, properties: dict[str, Any]) -> Table:
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "LocalSecondaryIndexes")
    create = {key: properties[key] for key in wanted if key in properties}
    ttl = properties.get("TimeToLiveSpecification", {})
    return Table(
        name=name,
        create={"TableName": name, "BillingMode": "PAY_PER_REQUEST", **create},
        ttl_attribute=ttl.get("AttributeName") if ttl.get("Enabled") else None,
    )


def _function(name: str, common: dict[str, Any], properties: dict[str, Any], names: dict[str, str]) -> Function:
    module, _, attribute = properties["Handler"].rpartition(".")
    folder = properties["CodeUri"].removeprefix("./").strip("/").replace("/", ".")
    variables = [part.get("Environment", {}).get("Variables", {}) for part in (common, properties)]
    merged = common | properties
    return Function(
        name=name,
        module=f"{folder}.{module}".replace("/", "."),
        attribute=attribute,
        environment={key: resolve(value, names) for key, value in (variables[0] | variables[1]).items()},
        timeout=float(merged.get("Timeout", LAMBDA_DEFAULT_TIMEOUT_S)),
        memory=int(merged.get("MemorySize", LAMBDA_DEFAULT_MEMORY_MB)),
    )


def _routes(function: str, properties: dict[str, Any]) -> list[Route]:
    events = [event for event in properties.get("Events", {}).values() if event["Type"] == "HttpApi"]
    return [_route(function, event.get("Properties", {})) for event in events]


def _route(function: str, event: dict[str, Any]) -> Route:
    method = str(event.get("Method", "ANY")).upper()
    return Route(
        "ANY" if method == "X-AMAZON-APIGATEWAY-ANY-METHOD" else method, event.get("Path", "$default"), function
    )
