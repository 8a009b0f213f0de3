"""`lmkit eval instruct`: how often answers follow instructions that a program can check."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.evaluation import ComparisonOptions, PredictionField, Predictions
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records import predictions
from lmkit.commands.records.instructions import instructions_of
from lmkit.commands.records.record_files import open_records
from lmkit.commands.reports import metrics
from lmkit.errors import DataError
from lmkit.io import streams, text_files
from lmkit.io.record_reader import Record
from lmkit.io.records import id_key

if TYPE_CHECKING:
    from lmkit.metrics.instruction_checks import Instruction

ANSWERED = ("text", "response", "answer", "prediction")
NAMES = ("id", "key")


@with_groups()
def instruct(
    run: Run,
    file: Predictions = streams.STDIN,
    *,
    gold: Annotated[
        str | None,
        typer.Option(
            "--gold", metavar="FILE", show_default="those of each record",
            help="Prompts with their instructions: JSON Lines; `-` is stdin. Matched by `id` or `key`, else by order.",
        ),
        Before("against"),
    ] = None,
    field: Annotated[PredictionField, Before("against")] = None,
    options: ComparisonOptions,
) -> None:  # fmt: skip
    """Measure how often answers follow checkable instructions.

    A prompt's record has `instruction_id_list`, such as ["punctuation:no_comma", "length_constraints:number_words"],
    and `kwargs`, a list of what goes with each, such as [{}, {"num_words": 50, "relation": "at least"}]: the form of
    IFEval (Zhou et al. 2023). lmkit-chat(7) lists the kinds. `prompt_strict` is the share of prompts all of whose
    instructions are followed, `instruction_strict` the share of instructions; the loose ones also take an answer
    without `*`, its first line or its last. --json adds `kinds`, each with its shares. -b prints `prompt_strict`.

    Intervals are bootstrap percentiles over prompts; --against is as in `lmkit eval classify`.

    Examples:
      lmkit sample -m model.lm prompts.jsonl | lmkit eval instruct
      lmkit eval instruct --gold prompts.jsonl answers.jsonl --against base.jsonl
      lmkit chat -m chat.lm prompts.jsonl | lmkit eval instruct --json
    """
    from lmkit.metrics import instruction_following

    with metrics.open_report(run, "instruct", options, (file, gold, options.against)) as report:
        fields = predictions.Fields(ANSWERED, field)
        if gold is None:
            records = _records(run, file)
            first = [predictions.item_of(record, fields) for record in records]
            asked = [_asked(record) for record in records]
        else:
            first = predictions.read(run, file, fields)
            asked = _of([_asked(record) for record in _records(run, gold)], first, file, gold)
        systems = [first]
        if options.against is not None:
            others = predictions.read(run, options.against, fields)
            systems.append(predictions.aligned(first, others, file, options.against))
        checked = [
            [
                instruction_following.followed(item.value, one.instructions)
                for item, one in zip(items, asked, strict=True)
            ]
            for items in systems
        ]
        kinds = instruction_following.by_kind(checked[0], [one.instructions for one in asked])
        found = instruction_following.compare(checked, options.sampling)
        report.show(found, len(asked), tables={"kinds": kinds})


class _Asked(NamedTuple):
    """The instructions of a prompt."""

    id: str | None
    place: str
    instructions: "Sequence[Instruction]"


def _records(run: Run, name: str) -> list[Record]:
    found = list(open_records(run, name, text_files.TextReader()).records("jsonl"))
    if not found:
        raise DataError(f"{streams.display(name)}: no prompts: the input is empty")
    return found


def _asked(record: Record) -> _Asked:
    """The instructions of a record. Raises DataError where it has none."""
    fields = record.fields or {}
    known_by = next((fields[one] for one in NAMES if fields.get(one) is not None), None)
    with opening.error_context(record.place):
        return _Asked(None if known_by is None else id_key(known_by), record.place, instructions_of(fields))


def _of(asked: Sequence[_Asked], items: Sequence[predictions.Item], name: str, gold: str) -> list[_Asked]:
    """The instructions of each item."""
    from lmkit.metrics.item_alignment import align

    return [asked[at] for at in align(items, asked, (streams.display(name), streams.display(gold)))]
