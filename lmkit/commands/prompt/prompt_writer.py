"""The records of prompts, written as their items come."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from lmkit.commands.options.standard import Run
from lmkit.io.records import to_json
from lmkit.io.streams import Output
from lmkit.prompting.examples import Example

if TYPE_CHECKING:
    from lmkit.prompting.prompt_records import PromptRecords


def write(run: Run, records: "PromptRecords", items: Iterable[Example], out: Output) -> None:
    """Writes the record of each item, and says how many examples there was room for."""
    for item in items:
        out.line(to_json(records.record(item)))
    if records.kept:
        run.terminal.notice(f"kept {', '.join(_kept(records.kept))}")


def _kept(counts: Mapping[tuple[int, int], int]) -> Iterator[str]:
    """How many examples were kept in how many prompts, most examples first; what is counted is said once."""
    for place, ((kept, asked), prompts) in enumerate(sorted(counts.items(), reverse=True)):
        nouns = ("", "") if place else (" examples", " prompt" if prompts == 1 else " prompts")
        yield f"{kept} of {asked}{nouns[0]} in {prompts}{nouns[1]}"
