"""`lmkit prompt fill`: prompts from a template."""

from typing import Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import templates
from lmkit.commands.options.standard import Json, Output, Run, choice, suggested
from lmkit.commands.records import items
from lmkit.errors import UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table
from lmkit.prompting import named_templates


def fill(
    run: Run,
    files: items.Files = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template", metavar="TEXT|@FILE|NAME", show_default=False, callback=suggested(*named_templates.FORMATS),
            help="Template: a text with [X] and optionally [Z], or Jinja2; a file of one; or a named template.",
        ),
    ] = None,
    x: Annotated[
        str | None, typer.Option("--x", metavar="TEXT", show_default=False, help="Text of one item, instead of FILEs.")
    ] = None,
    task: templates.Task = None,
    answers: Annotated[
        str,
        typer.Option(
            "--answers", metavar="KIND", callback=choice("text", "letter"),
            help="Form of answers for t0-mcq: the `text` of a choice, or its `letter`.",
        ),
    ] = "text",
    form: items.Form = "auto",
    columns: items.Columns = None,
    list_: Annotated[bool, typer.Option("--list", help="List the named templates with an example of each.")] = False,
    bare: items.Bare = False,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    r"""Make prompts from a template.

    `[X]` is the item's text (`input`, `text` or `question`), `[X:field]` another field, and `[Z]` the answer slot,
    by default the end. Trailing spaces and tabs become `joint`, the separator before the answer; `output`,
    `label` or `answer` becomes `gold`; other fields are copied. `\n`, `\t` and `\\` in a TEXT are escapes.

    A FILE named .j2 or .jinja, and any text with {{ or {%, is a Jinja2 template: fields are variables, and X is
    the item's text. It runs in a sandbox, at most 10 seconds and 512 MB per item (macOS: seconds only).

    --list shows the named templates and the fields that they need.

    Examples:
      lmkit prompt fill --template '[X]. En general la pelicula me parecio [Z].' --x 'Amé esa pelicula'
      lmkit prompt fill --template '[X:premise]? [Z], [X:hypothesis]' --columns premise,hypothesis pairs.tsv
      lmkit prompt fill --template @review.j2 reviews.jsonl | lmkit prompt answer -m model.lm --labels good,bad
      lmkit prompt fill --template t0-mcq questions.jsonl
      lmkit prompt fill --template t5 --task summarize -b articles.txt
    """
    items.expect_one_form(bare=bare, json=json)
    if list_:
        with outputs.open_output(output) as out:
            Table(out, ("name", "fields", "example"), as_json=json).rows(templates.examples())
        return
    if template is None:
        raise UsageError(
            "no template", hint="give --template '[X] It was [Z].', --template @FILE, or a name from --list"
        )
    used = templates.file_of(template)
    opening.check_single_stdin(used, *(files or [streams.STDIN] if x is None else []))
    made = templates.filler_of(template, task, answers)
    named = items.columns_of(columns, made.columns)
    one = items.typed_once(x, files, "--x", named[0])
    source = items.Items(run, form, named)
    with outputs.open_output(output) as out:
        prompts = items.Prompts(out, bare=bare)
        for group in source.groups(files) if one is None else [[one]]:
            for given, filled, more, gone in made.of(group):
                prompts.write(given, filled, more, gone=gone)
