"""`lmkit prompt extract`: prompts that ask for events as JSON, and checks of the answers."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Json, Output, Run, choice
from lmkit.commands.records import items
from lmkit.errors import DataError, UnmetError, UsageError
from lmkit.io import outputs, streams, yaml_json
from lmkit.io.records import to_json
from lmkit.prompting import event_extraction
from lmkit.prompting.examples import OUTPUTS
from lmkit.prompting.slot_templates import as_text, ended, text_in

NAMED = 10  # answers that are named in a message


def extract(
    run: Run,
    files: items.Files = None,
    frames: Annotated[
        str | None,
        typer.Option(
            "--frames", metavar="FILE", show_default=False,
            help="Frames in YAML or JSON: `frames` with `name`, `description` and `examples`; and `goal`.",
        ),
    ] = None,
    language: Annotated[
        str,
        typer.Option("--language", metavar="NAME", callback=choice("en", "es"), help="Prompt language: `en` or `es`."),
    ] = "en",
    trigger_words: Annotated[
        int, typer.Option("--trigger-words", metavar="N", min=1, help="Maximum words per trigger, in the schema.")
    ] = 5,
    max_events: Annotated[
        int, typer.Option("--max-events", metavar="N", min=1, help="Maximum events per text, in the schema.")
    ] = 20,
    check_answers: Annotated[
        bool,
        typer.Option("--check-answers", help="Check the answers in FILEs; exit status 1 if one is invalid."),
    ] = False,
    form: items.Form = "auto",
    bare: items.Bare = False,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Make prompts for event extraction, and check the answers.

    A prompt has the goal, the frames with their descriptions, five guidelines (JSON only; a list of [frame,
    trigger]; only listed frames; triggers copied from the text; an empty list if no event occurs) and
    the text.

    Each record has a `json_schema`, to which `lmkit sample` constrains the answer: frames must be listed ones,
    and triggers must be whole words of the text (letters, digits and _). `sample --json-schema` applies only
    to records without a schema of their own.

    --check-answers reads answers (`text`, for the text `input`) and adds `events` (those that follow the
    guidelines), `valid` and `problems`. Here a trigger may be any part of the text.

    Examples:
      lmkit prompt extract --frames frames.yaml --language es -b notas.txt
      lmkit prompt extract --frames frames.yaml notas.txt | lmkit sample -m gpt.lm --input jsonl -
      lmkit prompt extract --frames frames.yaml --check-answers answers.jsonl
    """
    if frames is None:
        raise UsageError("no frames", hint="name a file with --frames FILE")
    names = list(files or [streams.STDIN])
    opening.check_single_stdin(frames, *names)
    document = yaml_json.read(frames)
    with opening.error_context(frames):
        asked = event_extraction.frames_in(document)
    source = items.Items(run, "jsonl" if check_answers and form == "auto" else form, ("input",))
    with outputs.open_output(output) as out:
        if check_answers:
            _check(out, source, names, asked)
            return
        prompts = items.Prompts(out, bare=bare)
        for item in source.of(names):
            with opening.error_context(item.place):
                text = text_in(item.fields, None)
            filled = ended(event_extraction.prompt(asked, text, language))
            schema = event_extraction.schema(asked, text, trigger_words, max_events)
            gold = next(((name, item.fields[name]) for name in OUTPUTS if name in item.fields), None)
            more = {} if gold is None else {"gold": gold[1]}
            more |= {"input": text, "json_schema": schema}
            prompts.write(item, filled, more, gone=["text", "question", gold[0] if gold else ""])


def _check(out: outputs.Output, source: items.Items, files: Sequence[str], asked: event_extraction.Frames) -> None:
    """Writes the events of answers. Raises UnmetError if one is invalid, after all are written."""
    wrong, count = [], 0
    for item in source.of(files):
        count += 1
        with opening.error_context(item.place):
            text, answer = _field(item.fields, "input"), _field(item.fields, "text")
        checked = event_extraction.check(asked, text, answer)
        record = {"id": item.id, "events": checked.events, "valid": not checked.problems, "problems": checked.problems}
        left = {key: value for key, value in item.fields.items() if key not in (*record, "json_schema")}
        out.line(to_json({**record, **left}))
        if checked.problems:
            wrong.append(f"{item.id} ({checked.problems[0]})")
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise UnmetError(f"{len(wrong)} of {count} answers are invalid: {', '.join(wrong[:NAMED])}{more}")


def _field(fields: Mapping[str, Any], name: str) -> str:
    if name not in fields:
        raise DataError(f"no field {name!r}", hint="give it the output of `lmkit sample` for prompts of this command")
    return as_text(fields[name], name)
