"""Options that belong together: as one value for commands, and in a section of the help.

A value is a dataclass whose fields are options. A command's parameter that is annotated with such a class is
replaced, in its place, by the fields; what is typed for them comes back as one object. So long lists of options are
said once and checked where they belong. Commands with many options have sections in their help.
An option of a command's own may take its place in help before one of a group.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NamedTuple, TypeVar, get_type_hints

from lmkit.commands.options.help_pages import HelpCommand

Function = TypeVar("Function", bound=Callable[..., Any])
OTHERS = "Options of every command"


class Before(NamedTuple):
    """Beside an option's declaration in Annotated: the parameter that help lists after it."""

    name: str


def with_groups(
    *, without: Sequence[str] = (), **defaults: Mapping[str, Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of its groups; `defaults` are its own ones, by the parameter and the field.

    `without`: fields that are no options of the command, and keep their defaults: by their names, or as `group.field`
    where another group has one of the name.
    """

    def named(group: str, field: str) -> bool:
        return field not in without and f"{group}.{field}" not in without

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        first, *others = inspect.signature(function).parameters.values()
        groups: dict[str, Any] = {each.name: each.annotation for each in others if is_dataclass(each.annotation)}
        shown: list[inspect.Parameter] = []
        for each in others:
            own = _options(groups[each.name], defaults.get(each.name, {})) if each.name in groups else [each]
            shown += [parameter for parameter in own if each.name not in groups or named(each.name, parameter.name)]
        shown = _in_order(shown)

        def command(run: Any, **typed: Any) -> None:
            made = {
                name: group(
                    **{
                        field.name: typed.pop(field.name) for field in fields(group)
                        if field.name in typed and named(name, field.name)
                    }
                )
                for name, group in groups.items()
            }  # fmt: skip
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


def in_sections(sections: Mapping[str, Sequence[str]]) -> Callable[[Function], Function]:
    """Gives a command's function the sections of its help and manual page: titles and their parameters."""

    def decorate(function: Function) -> Function:
        function.sections = sections  # type: ignore[attr-defined]
        return function

    return decorate


def sections_of(function: Callable[..., Any]) -> Mapping[str, Sequence[str]]:
    """The titles of a command's function and the parameters under each; none where it has no sections."""
    found: Mapping[str, Sequence[str]] = getattr(function, "sections", {})
    return found


def command_class(function: Callable[..., Any]) -> type[HelpCommand]:
    """The parser's class for a command: one that writes its sections, if it has any."""
    sections = sections_of(function)
    return type("Sectioned", (_Sectioned,), {"sections": sections}) if sections else HelpCommand


class _Sectioned(HelpCommand):
    """A command whose help has sections; parameters in no section are common to all commands."""

    sections: Mapping[str, Sequence[str]]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes arguments and options."""
        titles = {name: title for title, names in self.sections.items() for name in names}
        written: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Arguments", *self.sections, OTHERS)}
        for parameter in self.get_params(ctx):
            title = "Arguments" if parameter.param_type_name == "argument" else titles.get(parameter.name or "", OTHERS)
            record = parameter.get_help_record(ctx)
            if record is not None:
                written[title].append(record)
        for title, records in written.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
