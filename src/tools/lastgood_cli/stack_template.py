"""`template.yaml` as CloudFormation sees it: after SAM's transformation, with parameters and conditions worked out."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from lastgood_cli.places import TEMPLATE

_NOTHING: Any = object()


@cache
def _translated() -> dict[str, Any]:
    template = yaml_parse(TEMPLATE.read_text())
    template["Resources"]["RollbackFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    made: dict[str, Any] = Translator({}, Parser()).translate(template, {})
    return made


def translated() -> dict[str, Any]:
    """The template after SAM's transformation; no network, no account. A copy."""
    return copy.deepcopy(_translated())


def defaults() -> dict[str, str]:
    """Every parameter and its default."""
    return _defaults(_translated())


def _defaults(template: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(spec.get("Default", "")) for name, spec in template["Parameters"].items()}


class StackTemplate:
    """The template for some parameters. `known` says what `Name` (Ref) and `Name.Attribute` (GetAtt) are.

    What is not known stays as it is written.
    """

    def __init__(
        self,
        parameters: Mapping[str, str] | None = None,
        known: Mapping[str, str] | None = None,
        made: dict[str, Any] | None = None,
    ) -> None:
        """`made` is another template than the function's. Raises ValueError for a parameter that it does not have."""
        self._made = made or translated()
        unknown = set(parameters or {}) - set(self._made["Parameters"])
        if unknown:
            raise ValueError(f"the template has no parameter {', '.join(sorted(unknown))}")
        self._known = known or {}
        self.parameters: dict[str, Any] = {}
        for name, text in {**_defaults(self._made), **(parameters or {})}.items():
            is_list = self._made["Parameters"][name]["Type"] == "CommaDelimitedList"
            self.parameters[name] = text.split(",") if is_list else text

    def resources(self) -> dict[str, Any]:
        """Every resource that would be made."""
        return {
            name: {key: self.resolve(value) for key, value in resource.items() if key != "Condition"}
            for name, resource in self._made["Resources"].items()
            if "Condition" not in resource or self._holds(resource["Condition"])
        }

    def outputs(self) -> dict[str, Any]:
        """Every output."""
        found: dict[str, Any] = self.resolve(self._made["Outputs"])
        return found

    def objections(self) -> list[str]:
        """What CloudFormation says of the parameters instead of deploying the stack."""
        return [
            assertion["AssertDescription"]
            for rule in self._made["Rules"].values()
            if self.resolve(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.resolve(assertion["Assert"])
        ]

    def _value(self, name: str, otherwise: Any) -> Any:
        """The value of a name: a parameter's, or what is known of the stack."""
        if name in self.parameters:
            return self.parameters[name]
        try:
            return self._known[name]
        except KeyError:
            return otherwise

    def _holds(self, condition: str) -> bool:
        return bool(self.resolve(self._made["Conditions"][condition]))

    def resolve(self, node: Any) -> Any:
        """The value of an expression; a list or mapping with those in it."""
        if isinstance(node, list):
            return [value for item in node if (value := self.resolve(item)) is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Condition" and isinstance(argument, str):
                return self._holds(argument)
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument)
        return {key: value for key, item in node.items() if (value := self.resolve(item)) is not _NOTHING}

    def _call(self, function: str, argument: Any) -> Any:  # noqa: C901 - a case for each function
        match function.removeprefix("Fn::"), argument:
            case "Ref", "AWS::NoValue":
                return _NOTHING
            case "Ref", str(name):
                return self._value(name, {function: name})
            case "GetAtt", [*path]:
                return self._value(".".join(map(str, path)), {function: path})
            case "GetAtt", str(path):
                return self._value(path, {function: path})
            case "Sub", str(text):
                return self._substituted(function, text, {})
            case "Sub", [str(text), dict(names)]:
                return self._substituted(function, text, self.resolve(names))
            case "Join", [str(glue), parts]:
                return glue.join(self.resolve(parts))
            case "Split", [str(glue), text]:
                return str(self.resolve(text)).split(glue)
            case "Select", [index, parts]:
                return self.resolve(parts)[int(index)]
            case "FindInMap", [str(name), *keys]:
                first, second = (self.resolve(key) for key in keys)
                known = isinstance(first, str) and isinstance(second, str)
                return self._made["Mappings"][name][first][second] if known else {function: argument}
        return self._decided(function, argument)

    def _decided(self, function: str, argument: Any) -> Any:
        """The value of a condition, or of what depends on one."""
        match function.removeprefix("Fn::"), argument:
            case "If", [condition, then, otherwise]:
                return self.resolve(then if self._holds(condition) else otherwise)
            case "Equals", [left, right]:
                return str(self.resolve(left)) == str(self.resolve(right))
            case "Not", [condition]:
                return not self.resolve(condition)
            case "And", [*conditions]:
                return all(self.resolve(conditions))
            case "Or", [*conditions]:
                return any(self.resolve(conditions))
            case "EachMemberEquals", [values, value]:
                return all(member == value for member in self.resolve(values))
            case "Contains", [values, value]:
                return self.resolve(value) in self.resolve(values)
        return {function: self.resolve(argument)}

    def _substituted(self, function: str, text: str, names: Mapping[str, Any]) -> Any:
        def value(found: re.Match[str]) -> str:
            return str(names[found[1]] if found[1] in names else self._value(found[1], found[0]))

        made = re.sub(r"\$\{([\w:.]+)\}", value, text)
        return {function: made} if "${" in made else made
