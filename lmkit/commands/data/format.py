"""`lmkit data format`: examples as prompts and outputs, in the named formats of `lmkit prompt fill` and others."""

from typing import Annotated

import typer

from lmkit.commands.data import concatenated_pairs, format_chat, task_prompts
from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting, templates
from lmkit.commands.options.standard import Json, Output, Run, Seed, choice
from lmkit.commands.records import items
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import to_json

STYLES = ("instruct", "chat", "t5", "t0", "gpt1", "bert", "concat")
TAUGHT = ("instruct", "t5")
"""Formats whose examples must have an output: the text that a model is to learn to write."""


def format_(
    run: Run,
    files: items.Files = None,
    style: Annotated[
        str | None,
        typer.Option(
            "--style", metavar="NAME", callback=choice(*STYLES), show_default=False,
            help="Format: `instruct`, `chat`, `t5`, `t0`, `gpt1`, `bert` or `concat`. `lmkit prompt fill --list` shows "
            "the named ones.",
        ),
    ] = None,
    task: templates.Task = None,
    task_templates: Annotated[
        str | None,
        typer.Option(
            "--templates", metavar="FILE", show_default="multiple choice",
            help="Templates of `t0`, YAML or JSON: a list for each task; one is drawn for each record.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="FILE", show_default=False,
            help="Evaluation tasks of `t0`: records with `task`, or a task per line. Records of these are refused.",
        ),
    ] = None,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Accept records of tasks in --against, and count them.")
    ] = False,
    sep: prompting.Sep = "<s>",
    form: items.Form = "auto",
    columns: items.Columns = None,
    seed: Seed = 0,
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
    or missing input gets no input block. instruct, chat, t5 and t0 require an output, which is kept unchanged;
    it is the field `output` (or `response`, `target`, `label`, `answer`).

    t0 makes prompts of many tasks by --templates; training and evaluation tasks must differ (--against). concat
    prints a line per pair, the source, --sep and the target, for a language model that translates. chat gives
    `messages`, as `lmkit finetune instruct` reads them; instruct makes one prompt of records with `messages`.

    Examples:
      lmkit data format --style instruct instructions.jsonl -o train.jsonl
      lmkit data format --style chat instructions.jsonl | lmkit prompt chat --template chatml
      lmkit data format --style t5 --task summarize articles.tsv
      lmkit data format --style t0 --templates t0.yaml --against test.jsonl train.jsonl
      lmkit data format --style concat es-en.tsv | lmkit train rnn --by line -o model.lm
    """
    if style is None:
        raise UsageError("no style", hint=f"--style {'|'.join(STYLES)}")
    if style != "t0" and (task_templates or against or allow_overlap):
        raise UsageError("--templates, --against and --allow-overlap belong to --style t0")
    if style == "concat":
        if task is not None or columns is not None or (bare and json):
            raise UsageError("--style concat takes no --task and no --columns, and either --bare or --json")
        concatenated_pairs.write(run, files, form, sep, output, as_json=json)
        return
    if style == "t0":
        opening.check_single_stdin(task_templates, against, *(files or [streams.STDIN]))
        prompts = task_prompts.TaskPrompts.of(run, task_templates, task, seed, against, allowed=allow_overlap)
        source = items.Items(run, form, items.columns_of(columns, prompts.columns))
        task_prompts.write(run, prompts, source, files, output, bare=bare)
        return
    if style == "chat":
        source = items.Items(run, form, items.columns_of(columns, format_chat.COLUMNS))
        format_chat.write(source, files, output, plain=task is not None or bare)
        return
    named = templates.Style(style, task)
    source = items.Items(run, form, items.columns_of(columns, named.format.columns))
    with outputs.open_output(output) as out:
        for item in source.of(files):
            if style == "instruct" and "messages" in item.fields:
                out.line(format_chat.as_instruction(item, bare=bare))
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
