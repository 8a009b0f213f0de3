"""`lmkit data format`: examples as prompts and outputs, in the named formats of `lmkit prompt fill`."""

from typing import Annotated

import typer

from lmkit.commands.data import format_chat
from lmkit.commands.data.format_chat import as_instruction
from lmkit.commands.options import templates
from lmkit.commands.options.standard import Json, Output, Run, choice
from lmkit.commands.records import items
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs
from lmkit.io.records import to_json

STYLES = ("instruct", "chat", "t5", "gpt1", "bert")
TAUGHT = ("instruct", "t5")
"""Formats whose examples must have an output: the text that a model is to learn to write."""


def format_(
    run: Run,
    files: items.Files = None,
    style: Annotated[
        str | None,
        typer.Option(
            "--style", metavar="NAME", callback=choice(*STYLES), show_default=False,
            help="Format: `instruct`, `chat`, `t5`, `gpt1` or `bert`. `lmkit prompt fill --list` shows them.",
        ),
    ] = None,
    task: templates.Task = None,
    form: items.Form = "auto",
    columns: items.Columns = None,
    bare: Annotated[
        bool, typer.Option("--bare", "-b", help="Print only the texts, each prompt followed by its output.")
    ] = False,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Format examples as prompts and outputs for training.

    Each example becomes a record with `id`, `prompt` and `output`, followed by its other fields. The prompt
    equals, byte for byte, what `lmkit prompt fill --template NAME` makes of the example without its output, so
    that training and use agree. t5's prefix begins the prompt, not the output. An instruction with an empty
    or missing input gets no input block. instruct, chat and t5 require an output, which is kept unchanged; it is
    the field `output` (or `response`, `target`, `label`, `answer`).

    chat gives records with `messages`, as `lmkit finetune instruct` and chat templates read them. Records may have
    `messages` already: chat checks that users and the assistant take turns, instruct makes them one prompt.

    Examples:
      lmkit data format --style instruct instructions.jsonl -o train.jsonl
      lmkit data format --style chat instructions.jsonl | lmkit prompt chat --template chatml
      lmkit data format --style t5 --task summarize articles.tsv
      lmkit data format --style gpt1 --task similarity -b pairs.tsv
    """
    if style is None:
        raise UsageError("no style", hint=f"--style {'|'.join(STYLES)}")
    if style == "chat":
        _write_chats(run, files, form, columns, output, plain=task is not None or bare)
        return
    named = templates.Style(style, task)
    source = items.Items(run, form, items.columns_of(columns, named.format.columns))
    with outputs.open_output(output) as out:
        for item in source.of(files):
            if style == "instruct" and "messages" in item.fields:
                filled, said = as_instruction(item)
                left = {key: value for key, value in item.fields.items() if key not in (*items.OWN, "id", "messages")}
                record = {"id": item.id, **filled.fields(), "output": said, **left}
                out.line(f"{filled.text}{filled.joint}{said}" if bare else to_json(record))
                continue
            for given, filled in named.prompts(item):
                said, said_by = items.output_in(given, named.format.outputs)
                if said is None and style in TAUGHT:
                    raise DataError(f"{item.place}: no output, which {style} requires")
                if bare:
                    out.line(f"{filled.text}{filled.joint}{said or ''}")
                    continue
                record = {"id": given.id, **filled.fields(), **({} if said is None else {"output": said})}
                left = {key: value for key, value in given.fields.items() if key not in (*record, *items.OWN, said_by)}
                out.line(to_json({**record, **left}))


def _write_chats(
    run: Run, files: items.Files, form: str, columns: str | None, output: str | None, *, plain: bool
) -> None:  # fmt: skip
    """Write items as messages. Raises UsageError where they are wanted as something else."""
    if plain:
        raise UsageError(
            "--task and --bare cannot be combined with --style chat",
            hint="`lmkit prompt chat --no-generation-prompt -b` renders messages as text",
        )
    source = items.Items(run, form, items.columns_of(columns, format_chat.COLUMNS))
    with outputs.open_output(output) as out:
        for item in source.of(files):
            out.line(to_json(format_chat.as_messages(item)))
