"""`lmkit prompt chat`: conversations rendered with a chat template."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Json, Output, Run, suggested
from lmkit.commands.records import items
from lmkit.errors import CheckpointError, DataError, LmkitError, UsageError
from lmkit.io import outputs, size_limits, streams, yaml_json
from lmkit.prompting import chat_templates
from lmkit.prompting.examples import INPUTS, OUTPUTS
from lmkit.prompting.slot_templates import FilledTemplate, as_text

TURNS = ("prompt", *INPUTS)
PASSED = ("tools", "documents")
SHOWN = 10  # messages with control tokens that are reported one by one


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
    template: Annotated[
        str | None,
        typer.Option(
            "--template", metavar="NAME|FILE|FOLDER", show_default=False, callback=suggested(*chat_templates.BUILT_IN),
            help="Chat template: a name in MODEL, `llama2`, `llama2-meta`, `chatml`, a Jinja2 file, or another model.",
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            "--system", metavar="TEXT", show_default=False, help="System message for conversations without one."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail (exit status 3) if a message has control tokens of the template.")
    ] = False,
    escape: Annotated[
        bool, typer.Option("--escape", help="Break up control tokens in messages with a space: [ /INST].")
    ] = False,
    no_generation_prompt: Annotated[
        bool, typer.Option("--no-generation-prompt", help="Do not begin the assistant's turn after the last message.")
    ] = False,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", show_default=False,
            help="Variable of a Jinja2 template: JSON, or else text. Repeat for several.",
        ),
    ] = None,
    day: Annotated[
        str | None,
        typer.Option("--date", metavar="YYYY-MM-DD", show_default=False, help="Current date for Jinja2 templates."),
    ] = None,
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

    Messages that contain control tokens of the template, such as [/INST], are reported; --strict refuses
    them, --escape breaks them up. Models read control tokens as plain text unless --parse-special is given.

    Examples:
      lmkit prompt chat --template llama2 --system 'Be brief.' questions.txt
      lmkit prompt chat --template chatml chats.jsonl | lmkit sample -m gpt.lm --parse-special --input jsonl -
      lmkit prompt chat -m SmolLM2-135M-Instruct --strict chats.jsonl
      lmkit prompt chat --template chat.jinja --set 'bos_token=<s>' --date 2024-07-26 chats.jsonl
    """
    items.expect_one_form(bare=bare, json=json)
    if template is None and model is None:
        raise UsageError(
            "no template", hint=f"give -m MODEL, or --template {'|'.join(chat_templates.BUILT_IN)} or a file"
        )
    if strict and escape:
        raise UsageError("--strict and --escape exclude each other")
    opening.check_single_stdin(model, template, *(files or [streams.STDIN]))
    shape = _shape(model, template, _variables(values or []), _date(day))
    guard = _Guard(run, shape.marks, strict=strict, escape=escape)
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
    group: Sequence[items.Item], guard: "_Guard", system: str | None, *, going_on: bool
) -> Iterator[tuple[chat_templates.Messages, bool, Mapping[str, Any]]]:
    """What the form is given of each item. Raises DataError with the item's place."""
    for item in group:
        with opening.error_context(item.place):
            messages = guard.passed(item.place, _messages(item.fields, system))
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


def _shape(
    model: str | None, name: str | None, variables: Mapping[str, Any], today: date | None
) -> chat_templates.Chat:
    """The form that --model and --template name. Raises UsageError, CheckpointError of a model, DataError of a file."""
    if model is not None and (name is None or name in _names_in(model)):
        return _of_model(model, name).chat(variables, today, streams.display(model))
    assert name is not None
    if name in chat_templates.BUILT_IN:
        if variables or today:
            raise UsageError(f"--set and --date need a Jinja2 template, and {name} is built in")
        return chat_templates.BUILT_IN[name]
    if name != streams.STDIN and not os.path.exists(name):
        known = ", ".join([*(_names_in(model) if model is not None else ()), *chat_templates.BUILT_IN])
        raise UsageError(f"--template {name!r} is neither a file or folder nor one of {known}")
    start = streams.read_start(name, 9) if name != streams.STDIN and not opening.is_folder(name) else b""
    if opening.is_folder(name) or (_is_checkpoint(start) and b"\0" in start):
        return _of_model(name, None).chat(variables, today, name)
    values = {} if model is None else _of_model(model, None, needed=False).values
    try:
        text = yaml_json.text(name, size_limits.TEMPLATE)
        return chat_templates.Source(text, values).chat(variables, today, streams.display(name))
    except DataError as error:
        shown = streams.display(name)
        raise DataError(str(error) if str(error).startswith(shown) else f"{shown}: {error}", hint=error.hint) from None


def _is_checkpoint(start: bytes) -> bool:
    from lmkit.checkpoint import is_checkpoint

    return is_checkpoint(start)


def _names_in(model: str) -> Sequence[str]:
    """The names of a model's templates."""
    with opening.error_context(model):
        return sorted(_published(model).chat_templates)


def _published(model: str) -> Any:
    """A model's published settings: its templates, and its special tokens by name."""
    from lmkit import checkpoint
    from lmkit.architectures.published_settings import in_checkpoint, in_folder

    if opening.is_folder(model):
        return in_folder(opening.open_folder(model))
    content = checkpoint.parse(opening.read_model(model))
    return in_checkpoint(content.config, content.tokenizer)


def _of_model(model: str, name: str | None, *, needed: bool = True) -> chat_templates.Source:
    """A template of a model, by its name. Raises CheckpointError where it has none, unless it is not `needed`."""
    with opening.error_context(model):
        if opening.is_folder(model) and needed:
            return chat_templates.source_in(opening.open_folder(model), name)
        found = _published(model)
        if not needed:
            return chat_templates.Source("", found.special_tokens)
        if not found.chat_templates:
            raise CheckpointError("the checkpoint has no chat template", hint="choose one with --template")
        names = getattr(opening.open_tokenizer(model), "names", {})
        return chat_templates.source_of(found, [piece.decode(errors="replace") for piece in names], name)


def _variables(typed: Sequence[str]) -> dict[str, Any]:
    """The values of --set: JSON where it is that, else text. Raises UsageError."""
    found = {}
    for one in typed:
        name, equals, value = streams.argument_text(one).partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--set {one!r}: expected NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


def _date(typed: str | None) -> date | None:
    try:
        return None if typed is None else date.fromisoformat(typed)
    except ValueError:
        raise UsageError(f"--date {typed!r} is not a date", hint="use YYYY-MM-DD, such as --date 2024-07-26") from None


def _messages(fields: Mapping[str, Any], system: str | None) -> chat_templates.Messages:
    """The messages of a record. Raises DataError where it has none."""
    if "messages" in fields:
        messages = chat_templates.messages_in(fields["messages"])
    else:
        name = next((one for one in TURNS if one in fields), None)
        if name is None:
            raise DataError("the record has neither `messages` nor a `prompt`")
        messages = [{"role": chat_templates.USER, "content": as_text(fields[name], name)}]
    own = fields.get("system")
    if own is None:
        own = None if system is None else streams.argument_text(system)
    return messages if own is None else chat_templates.begun_by(as_text(own, "system"), messages)


class _Guard:
    """Finds a template's control tokens in messages, and refuses, changes or reports them."""

    def __init__(self, run: Run, marks: tuple[str, ...], *, strict: bool, escape: bool) -> None:
        self._run, self._marks, self._strict, self._escape = run, marks, strict, escape
        self._told = 0

    def passed(self, place: str, messages: chat_templates.Messages) -> chat_templates.Messages:
        """The messages as they may be rendered. Raises DataError if `strict`."""
        found = list(chat_templates.marks_in(messages, self._marks))
        if not found:
            return messages
        if self._escape:
            return chat_templates.escaped(messages, self._marks)
        number, mark = found[0]
        said = f"{place}: message {number} contains {mark}, a control token of the template"
        if self._strict:
            raise DataError(said, hint="break it up with --escape")
        self._told += 1
        if self._told <= SHOWN:
            self._run.terminal.notice(said)
        return messages

    def close(self) -> None:
        """Reports how many more there were."""
        if self._told > SHOWN:
            self._run.terminal.notice(f"{self._told - SHOWN} more conversations contain control tokens of the template")
