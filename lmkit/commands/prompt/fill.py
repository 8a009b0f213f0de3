"""`lmkit prompt fill`: prompts made by a template."""

from typing import Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import templates
from lmkit.commands.options.standard import Json, Output, Run, choice, suggested
from lmkit.commands.records import items
from lmkit.errors import UsageError
from lmkit.io import streams
from lmkit.io.records import Table
from lmkit.prompting import named_templates


def fill(
    run: Run,
    files: items.Files = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template", metavar="TEXT|@FILE|NAME", show_default=False, callback=suggested(*named_templates.FORMATS),
            help="A text with [X] and perhaps [Z], or Jinja2; a file of such; or a named format.",
        ),
    ] = None,
    x: Annotated[
        str | None, typer.Option("--x", metavar="TEXT", show_default=False, help="One item, instead of FILEs.")
    ] = None,
    task: templates.Task = None,
    answers: Annotated[
        str,
        typer.Option(
            "--answers", metavar="KIND", callback=choice("text", "letter"),
            help="What answers t0-mcq: the `text` of a choice, or its `letter`.",
        ),
    ] = "text",
    form: items.Form = "auto",
    columns: items.Columns = None,
    list_: Annotated[bool, typer.Option("--list", help="List the named formats, with an example of each.")] = False,
    bare: items.Bare = False,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    r"""Prompts made by a template.

    Items are lines, rows of TSV, or records; each gives a record with `id` and `prompt`, and what its own
    record had behind them. [X] is the text of an item: its `input`, `text` or `question`; [X:field] is any other
    field. [Z], once and anywhere, is where the answer goes; without it that is the end, and spaces and tabs there
    go into `joint`. Where text of an item has [Z] too, `slot` is the place of the right one, or null for the end.
    What is right, as `output`, `label` or `answer`, becomes `gold`. In a TEXT `\n`, `\t` and `\\` mean a line's end,
    a tab and a backslash; of a FILE its last line end does not count.

    A FILE named .j2 or .jinja, and any text with {{ or {%, is Jinja2: fields are variables, X the item's text;
    one that is not there is an error, and nothing is escaped. It is sandboxed: it sees the item alone, changes
    nothing, and reads no other file. It runs in a process of its own, which is ended where an item takes more
    than 10 seconds or 512 MB of memory (macOS: seconds only). A text has at most 1,048,576 characters.

    t0-mcq takes `question`, `context` and a list of `choices`, and gives these as `candidates`. What says which
    is right is a number from 0, or the text of a choice, or else a letter. gpt1 and bert take `a` and perhaps `b`
    (`sentence1`, `sentence2`; `premise`, `hypothesis`; two columns), t5 an input, instruct an `instruction` and
    perhaps an `input`.

    Examples:
      lmkit prompt fill --template '[X]. En general la pelicula me parecio [Z].' --x 'Amé esa pelicula'
      lmkit prompt fill --template '[X:premise]? [Z], [X:hypothesis]' --columns premise,hypothesis pairs.tsv
      lmkit prompt fill --template @review.j2 reviews.jsonl | lmkit prompt answer -m model.lm --labels good,bad
      lmkit prompt fill --template t0-mcq questions.jsonl
      lmkit prompt fill --template t5 --task summarize -b articles.txt
    """
    items.expect_one_form(bare=bare, json=json)
    if list_:
        with streams.open_output(output) as out:
            Table(out, ("name", "fields", "example"), as_json=json).rows(templates.examples())
        return
    if template is None:
        raise UsageError("no template", hint="--template '[X] It was [Z].', --template @FILE, or a name of --list")
    used = templates.file_of(template)
    opening.check_single_stdin(used, *(files or [streams.STDIN] if x is None else []))
    made = templates.filler_of(template, task, answers)
    named = items.columns_of(columns, made.columns)
    one = items.typed_once(x, files, "--x", named[0])
    source = items.Items(run, form, named)
    with streams.open_output(output, inputs=[used, *(files or [])]) as out:
        prompts = items.Prompts(out, bare=bare)
        for group in source.groups(files) if one is None else [[one]]:
            for given, filled, more, gone in made.of(group):
                prompts.write(given, filled, more, gone=gone)
