"""`lmkit prompt extract`: prompts that ask for events as JSON, and answers to them checked."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Json, Output, Run, choice
from lmkit.commands.records import items
from lmkit.errors import DataError, UnmetError, UsageError
from lmkit.io import streams, yaml_json
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
            help="The frames, in YAML or JSON: `frames` with `name`, `description`, `examples`; `goal`.",
        ),
    ] = None,
    language: Annotated[
        str,
        typer.Option("--language", metavar="NAME", callback=choice("en", "es"), help="The prompt's own: `en`, `es`."),
    ] = "en",
    trigger_words: Annotated[
        int, typer.Option("--trigger-words", metavar="N", min=1, help="Words of a trigger in the schema, at the most.")
    ] = 5,
    max_events: Annotated[
        int, typer.Option("--max-events", metavar="N", min=1, help="Events of a text in the schema, at the most.")
    ] = 20,
    check_answers: Annotated[
        bool,
        typer.Option("--check-answers", help="FILEs are answers: check them; status 1 if one is wrong."),
    ] = False,
    form: items.Form = "auto",
    bare: items.Bare = False,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Prompts that ask for events of given frames.

    For each text a prompt in blocks: the goal, the events, that is the frames with what they mean, five
    guidelines (JSON only; a list of [frame, trigger]; only frames that are listed; triggers copied from the
    text; the empty list where there is nothing), the text, and room for the answer.

    Each record brings its `json_schema`, to which `lmkit sample` holds the answer whatever the model: frames are
    those listed, and triggers words of this text, from the beginning of a word to the end of one. Letters,
    digits and _ make words. `sample` needs no --json-schema; one that it is given serves records without.

    --check-answers reads answers (`text`, of the text `input`) back: each gets `events`, those that keep to the
    guidelines, `valid`, and `problems`, where a trigger may be any part of the text.

    Examples:
      lmkit prompt extract --frames frames.yaml --language es -b notas.txt
      lmkit prompt extract --frames frames.yaml notas.txt | lmkit sample -m gpt.lm --input jsonl -
      lmkit prompt extract --frames frames.yaml --check-answers answers.jsonl
    """
    if frames is None:
        raise UsageError("no frames", hint="--frames FILE")
    names = list(files or [streams.STDIN])
    opening.check_single_stdin(frames, *names)
    document = yaml_json.read(frames)
    with opening.error_context(frames):
        asked = event_extraction.frames_in(document)
    source = items.Items(run, "jsonl" if check_answers and form == "auto" else form, ("input",))
    with streams.open_output(output, inputs=[frames, *names]) as out:
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


def _check(out: streams.Output, source: items.Items, files: Sequence[str], asked: event_extraction.Frames) -> None:
    """Writes what answers hold. Raises UnmetError where one is not as asked for, when all are written."""
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
        raise UnmetError(f"{len(wrong)} of {count} answers are not as asked for: {', '.join(wrong[:NAMED])}{more}")


def _field(fields: Mapping[str, Any], name: str) -> str:
    if name not in fields:
        raise DataError(f"no field {name!r}", hint="answers of `lmkit sample` to prompts of this command have it")
    return as_text(fields[name], name)
