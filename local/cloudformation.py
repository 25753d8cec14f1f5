"""The part of CloudFormation's language that local emulation understands: parameters, conditions and references."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PSEUDO_PARAMETERS = {"AWS::Region": "us-east-1", "AWS::AccountId": "123456789012", "AWS::StackName": "local"}
_NO_VALUE = {"Ref": "AWS::NoValue"}


class TemplateError(Exception):
    """The template or a value for it cannot be used; one sentence."""


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags: `!Ref X` becomes {"Ref": "X"}, `!GetAtt A.B` {"Fn::GetAtt": "A.B"}."""


def _tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _tag)


def load(path: Path) -> dict[str, Any]:
    """The document of a template. Raises TemplateError when it is missing, is not YAML, or has no resources."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise TemplateError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict) or not document.get("Resources"):
        raise TemplateError(f"{path} has no Resources")
    return document


def checked(declared: Mapping[str, Any], value: str, called: str) -> str:
    """The value, if a parameter's declaration allows it. Raises TemplateError, which names the value as `called`.

    What is declared is what CloudFormation checks: Type, AllowedValues, AllowedPattern, MinValue and MaxValue,
    MinLength and MaxLength.
    """
    shown = "" if declared.get("NoEcho") else f", not {value!r}"
    allowed = [_text(each) for each in declared.get("AllowedValues", [])]
    if allowed and value not in allowed:
        raise TemplateError(f"{called} must be one of {', '.join(allowed)}{shown}")
    if not re.fullmatch(declared.get("AllowedPattern", ".*"), value, re.DOTALL):
        wanted = declared.get("ConstraintDescription") or declared.get("Description") or declared["AllowedPattern"]
        given = "this" if declared.get("NoEcho") else repr(value)
        raise TemplateError(f"{called} cannot be {given}: {wanted}")
    size: float = len(value)
    kind, unit = "Length", " characters long"
    if declared["Type"] == "Number":
        kind, unit = "Value", ""
        try:
            size = float(value)
        except ValueError:
            raise TemplateError(f"{called} must be a number{shown}") from None
    if not float(declared.get(f"Min{kind}", "-inf")) <= size:
        raise TemplateError(f"{called} must be at least {declared[f'Min{kind}']}{unit}{shown}")
    if not size <= float(declared.get(f"Max{kind}", "inf")):
        raise TemplateError(f"{called} must be at most {declared[f'Max{kind}']}{unit}{shown}")
    return value


class Scope:
    """What the references of one template mean.

    `parameters` are the values of its parameters, by name. Every method raises TemplateError for what it does not
    understand, so that a template cannot silently mean something else here than on AWS.
    """

    def __init__(self, document: dict[str, Any], parameters: Mapping[str, str]) -> None:
        declared = document.get("Parameters", {})
        if unknown := [name for name in parameters if name not in declared]:
            raise TemplateError(f"there is no parameter {unknown[0]}; there are: {', '.join(declared)}")
        self._conditions = document.get("Conditions", {})
        self._names: dict[str, str] = PSEUDO_PARAMETERS | {
            name: _text(each.get("Default", "")) for name, each in declared.items()
        }
        self._names |= parameters
        self._names |= {  # a table's name, else the logical id, as `sam local` has it
            name: self.text(resource.get("Properties", {}).get("TableName", name))
            for name, resource in document["Resources"].items()
        }

    def text(self, value: Any) -> str:
        """The text of a value: a literal, `!Ref`, `!Sub` or `!If`."""
        resolved = self.value(value)
        if isinstance(resolved, str):
            return resolved
        raise TemplateError(f"local emulation understands !Ref, !Sub and !If in a variable, not {value}")

    def value(self, value: Any) -> Any:
        """A value with the references in it resolved; literals become text. What is `AWS::NoValue` is left out."""
        if isinstance(value, list):
            return [self.value(each) for each in value if each != _NO_VALUE]
        if not isinstance(value, dict):
            return _text(value)
        if len(value) == 1:
            ((kind, argument),) = value.items()
            if kind == "Ref":
                return None if value == _NO_VALUE else self._named(argument)
            if kind == "Fn::Sub" and isinstance(argument, str):
                return re.sub(r"\$\{([^}!]+)\}", lambda match: self._named(match[1]), argument)
            if kind == "Fn::If":
                condition, then, otherwise = argument
                return self.value(then if self._holds({"Condition": condition}) else otherwise)
            if kind.startswith("Fn::"):
                raise TemplateError(f"local emulation understands !Ref, !Sub and !If in a variable, not {value}")
        return {name: self.value(each) for name, each in value.items() if each != _NO_VALUE}

    def names_in(self, value: Any) -> Iterator[str]:
        """The names that a value refers to, by way of conditions too."""
        if isinstance(value, list):
            for each in value:
                yield from self.names_in(each)
        elif isinstance(value, dict):
            for kind, argument in value.items():
                if kind == "Ref":
                    yield argument
                elif kind == "Fn::Sub" and isinstance(argument, str):
                    yield from re.findall(r"\$\{([^}!]+)\}", argument)
                elif kind == "Fn::If":
                    yield from self.names_in([self._conditions.get(argument[0]), *argument[1:]])
                else:
                    yield from self.names_in(argument)

    def _holds(self, condition: dict[str, Any]) -> bool:
        ((kind, argument),) = condition.items()
        if kind == "Condition" and argument in self._conditions:
            return self._holds(self._conditions[argument])
        if kind == "Fn::Equals":
            first, second = argument
            return self.text(first) == self.text(second)
        if kind == "Fn::Not":
            return not self._holds(argument[0])
        if kind in ("Fn::And", "Fn::Or"):
            return (all if kind == "Fn::And" else any)(self._holds(each) for each in argument)
        raise TemplateError(f"local emulation understands !Equals, !Not, !And and !Or in a condition, not {condition}")

    def _named(self, name: str) -> str:
        if name not in self._names:
            raise TemplateError(f"!Ref {name}: no such parameter or resource")
        return self._names[name]


def _text(literal: Any) -> str:
    return str(literal).lower() if isinstance(literal, bool) else str(literal)
