"""Help whose options stand in sections, for commands with many."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from typer.core import TyperCommand

Function = TypeVar("Function", bound=Callable[..., Any])
OTHERS = "Options of every command"


def in_sections(sections: Mapping[str, Sequence[str]]) -> Callable[[Function], Function]:
    """Says of a command's function which of its parameters stand under which title, in help and manual."""

    def decorate(function: Function) -> Function:
        function.sections = sections  # type: ignore[attr-defined]
        return function

    return decorate


def sections_of(function: Callable[..., Any]) -> Mapping[str, Sequence[str]]:
    """The titles of a command's function and the parameters under each; none where it has no sections."""
    found: Mapping[str, Sequence[str]] = getattr(function, "sections", {})
    return found


def command_class(function: Callable[..., Any]) -> type[TyperCommand] | None:
    """The parser's class for a command: one that writes its sections, None where there are none."""
    sections = sections_of(function)
    return type("Sectioned", (_Sectioned,), {"sections": sections}) if sections else None


class _Sectioned(TyperCommand):
    """A command whose help has sections; what stands in none is said to be every command's."""

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
