"""`lmkit prompt chat`: conversations rendered with a chat template."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.chat_templates import PASSED, ControlTokenGuard, TemplateFile, messages_of
from lmkit.commands.options.chat_templates import ChatTemplateOptions, System
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import Json, Output, Run
from lmkit.commands.records import items
from lmkit.errors import LmkitError, UsageError
from lmkit.io import outputs, streams
from lmkit.prompting import chat_templates
from lmkit.prompting.examples import OUTPUTS
from lmkit.prompting.slot_templates import FilledTemplate


@with_groups()
def chat(
    run: Run,
    files: items.Files = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", show_default=False,
            help="Checkpoint or folder with a chat template.",
        ),
    ] = None,
    *,
    templates: ChatTemplateOptions,
    system: Annotated[System, Before("values")] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail (exit status 3) if a message has control tokens of the template."),
        Before("values"),
    ] = False,
    escape: Annotated[
        bool,
        typer.Option(
            "--escape/--no-escape",
            help="Break up control tokens in messages with a space, as [ /INST]; or leave them as they are.",
        ),
        Before("values"),
    ] = True,
    no_generation_prompt: Annotated[
        bool,
        typer.Option("--no-generation-prompt", help="Do not begin the assistant's turn after the last message."),
        Before("values"),
    ] = False,
    form: items.Form = "auto",
    bare: items.Bare = False,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    r"""Render conversations with a model's chat template.

    A record has `messages`, each with `role` and `content`, or a user's `prompt` (or `input`, `text`,
    `question`) and optionally `system`. A line of text is a user's message. The prompt ends where the
    assistant's turn begins; a last message of the assistant is continued.

    Built-in templates are `llama2` (texts unchanged), `llama2-meta` (texts stripped, a space before </s>, as in
    Meta's code) and `chatml`. Jinja2 templates, from a FILE or a MODEL, give what `apply_chat_template` of
    transformers gives. They run in a sandbox and know the date only from --date.

    Control tokens of the template in messages, such as [/INST], are broken up with a space, with a warning;
    --strict refuses them. Roles must alternate. Models read control tokens as text without --parse-special.

    Examples:
      lmkit prompt chat --template llama2 --system 'Be brief.' questions.txt
      lmkit prompt chat --template chatml chats.jsonl | lmkit sample -m gpt.lm --parse-special --input jsonl -
      lmkit prompt chat -m SmolLM2-135M-Instruct --strict chats.jsonl
      lmkit prompt chat --template chat.jinja --set 'bos_token=<s>' --date 2024-07-26 chats.jsonl
    """
    items.expect_one_form(bare=bare, json=json)
    if strict and "escape" in run.given:
        raise UsageError("--strict and --escape exclude each other")
    opening.check_single_stdin(model, templates.template, *(files or [streams.STDIN]))
    shape = templates.chat(None if model is None else TemplateFile(model))
    guard = ControlTokenGuard(run, shape.marks, strict=strict, escape=escape)
    source = items.Items(run, form, ("input",))
    with outputs.open_output(output) as out:
        prompts = items.Prompts(out, bare=bare)
        for group in source.groups(files):
            turns = _turns(group, guard, system, going_on=not no_generation_prompt)
            for item, filled in _filled(shape, group, turns):
                gold, said_by = items.output_in(item, OUTPUTS)
                prompts.write(item, filled, {} if gold is None else {"gold": gold}, gone=[said_by or ""])
    guard.close()


def _turns(
    group: Sequence[items.Item], guard: ControlTokenGuard, system: str | None, *, going_on: bool
) -> Iterator[tuple[chat_templates.Messages, bool, Mapping[str, Any]]]:
    """What the form is given of each item. Raises DataError with the item's place."""
    for item in group:
        with opening.error_context(item.place):
            messages = guard.passed(item.place, messages_of(item.fields, system))
        more = {key: item.fields[key] for key in PASSED if key in item.fields}
        yield messages, going_on and messages[-1]["role"] != chat_templates.ASSISTANT, more


def _filled(
    shape: chat_templates.Chat,
    group: Sequence[items.Item],
    turns: Iterator[tuple[chat_templates.Messages, bool, Mapping[str, Any]]],
) -> Iterator[tuple[items.Item, FilledTemplate]]:
    """The items with their prompts; those before one that fails come before its error."""
    given, failure = list[tuple[chat_templates.Messages, bool, Mapping[str, Any]]](), None
    try:
        given.extend(turns)
    except LmkitError as error:
        failure = error
    prompts = shape.render_each(given)
    for item in group[: len(given)]:
        with opening.error_context(item.place):
            filled = next(prompts)
        yield item, filled
    if failure is not None:
        raise failure
