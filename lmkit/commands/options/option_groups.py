"""Options that belong together as one value: a dataclass whose fields are options, and a parameter of that type.

A command's parameter that is annotated with such a class is replaced, in its place, by the fields; what is
typed for them comes back as one object. So long lists of options are said once and checked where they belong.
An option of the command's own may take its place in help before one of a group.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NamedTuple, get_type_hints

Function = Callable[..., None]


class Before(NamedTuple):
    """Beside an option's declaration in Annotated: the parameter that help lists after it."""

    name: str


def with_groups(**defaults: Mapping[str, Any]) -> Callable[[Function], Function]:
    """Gives a command the options of its groups; `defaults` are its own ones, by the parameter and the field."""

    def decorated(function: Function) -> Function:
        first, *others = inspect.signature(function).parameters.values()
        groups: dict[str, Any] = {each.name: each.annotation for each in others if is_dataclass(each.annotation)}
        shown: list[inspect.Parameter] = []
        for each in others:
            shown += _options(groups[each.name], defaults.get(each.name, {})) if each.name in groups else [each]

        shown = _in_order(shown)

        def command(run: Any, **typed: Any) -> None:
            made = {
                name: group(**{field.name: typed.pop(field.name) for field in fields(group)})
                for name, group in groups.items()
            }
            function(run, **typed, **made)

        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in shown]
        command.__signature__ = inspect.Signature([first, *own])  # type: ignore[attr-defined]
        command.__doc__ = function.__doc__
        return command

    return decorated


def _in_order(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    """Return the parameters, those that are marked moved before the ones that their marks name."""
    found = list(parameters)
    for each in parameters:
        for mark in getattr(each.annotation, "__metadata__", ()):
            if isinstance(mark, Before):
                found.remove(each)
                found.insert([other.name for other in found].index(mark.name), each)
    return found


def _options(group: Any, defaults: Mapping[str, Any]) -> list[inspect.Parameter]:
    """The fields of a group as a command's parameters."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, annotation=hints[field.name],
            default=defaults.get(field.name, inspect.Parameter.empty if field.default is MISSING else field.default),
        )
        for field in fields(group)
    ]  # fmt: skip
