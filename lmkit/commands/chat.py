"""`lmkit chat`: talk with a model."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.generation.model_defaults import Settled, settled
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options import generation as own
from lmkit.commands.options.chat_templates import ChatTemplateOptions, System
from lmkit.commands.options.constraints import ConstraintOptions
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.sampling import FILTERS, PENALTIES, SamplingOptions
from lmkit.commands.options.standard import Bos, Device, Json, ModelOption, ModelThreads, Output, Run, Seed, choice
from lmkit.commands.records.record_files import open_records
from lmkit.errors import UsageError
from lmkit.io import outputs, record_reader, streams

if TYPE_CHECKING:
    from lmkit.prompting.answers import Answerer
    from lmkit.prompting.chat_templates import Chat
    from lmkit.protocols import StoredModel

FORMS = ("text", "jsonl")
MAX_TOKENS = 512
SECTIONS = {
    "Input": ("files", "model", "form", "bos"),
    "Conversation": ("system", "template", "values", "day", "max_tokens", "stop"),
    "Output": ("json", "output"),
    "Sampling": ("seed", "greedy", "ancestral", *FILTERS, "order", "mirostat", "mirostat_rate", "unknown", "defaults"),
    "Penalties": (*PENALTIES, "penalty_scope"),
    "Constraints": ("json_schema", "regex", "choice", "grammar", "format"),
    "Speed": ("threads", "device"),
}
"""Sections of the command's help, and the parameters in each."""


@in_sections(SECTIONS)
@with_groups()
def chat(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", show_default=False,
            help="Messages of one conversation, one per line, or JSON Lines of conversations; `-` or none: stdin.",
        ),
    ] = None,
    model: ModelOption = None,
    *,
    form: Annotated[
        str,
        typer.Option(
            "--input", metavar="FORM", callback=choice("auto", *FORMS),
            help="Format of FILEs: `text`, `jsonl`, or `auto` (by the name; of stdin by its first line).",
        ),
    ] = "auto",
    bos: Bos = "auto",
    system: System = None,
    templates: ChatTemplateOptions,
    max_tokens: own.MaxTokens = MAX_TOKENS,
    stop: own.Stop = None,
    json: Json = False,
    output: Output = None,
    seed: Seed = 0,
    sampling: SamplingOptions,
    defaults: own.Defaults = False,
    constraints: ConstraintOptions,
    threads: ModelThreads = None,
    device: Device = "cpu",
) -> None:  # fmt: skip
    r"""Talk with a model, or answer conversations.

    At a terminal each line is a message, answered as the model writes; /help lists commands such as /reset,
    /save FILE and /load FILE. Ctrl-C stops an answer, Ctrl-D ends. From a FILE or a pipe, JSON Lines are
    conversations, each with `messages` (as for `lmkit prompt chat`) and answered by the record with the answer
    as its last message; other lines are the messages of one conversation, each answered by a line.

    Turns are written by the model's chat template, or by --template; an answer ends where the template ends a
    turn. Control tokens in messages are broken up, with a warning. Earlier turns are not run again. If the
    context is full, the oldest exchanges are left out until a quarter of it is free for messages to come; the
    system message stays. Exit status 1 if a constraint is not met.

    Examples:
      lmkit chat -m SmolLM2-135M-Instruct --system "Answer briefly." -t 0.7 --top-p 0.9
      lmkit chat -m model.lm --template chatml --greedy
      lmkit chat -m chat.lm conversations.jsonl -o answered.jsonl
      printf 'Hello\nWhat did I say?\n' | lmkit chat -m chat.lm
    """
    if model is None and not files:
        raise UsageError("no model: give -m MODEL, as messages come from stdin")
    from lmkit.io import line_editor

    model = streams.STDIN if model is None else model
    opening.check_single_stdin(model, templates.template, constraints.file, *(files or [streams.STDIN]))
    talks = not files and form == "auto" and output is None and not json and line_editor.is_conversation()
    asked = Settled(sampling, own.SearchOptions(), max_tokens, stop or [])
    sampling.check()
    opening.use_threads(threads, model)
    opened = scoring_models.open_generating_model(model, device)
    if defaults:
        with opening.error_context(model):
            asked = settled(run, opening.generation_of(opened), asked)
        if asked.searching.beam:
            run.terminal.notice("generation_config: num_beams not supported in conversations, ignored")
    if "" in asked.stop:
        raise UsageError("--stop is empty, so every text would end at once")
    opened = opening.with_bos(_with_marks(opened), bos)
    from lmkit.generation.constraint_report import ConstraintReport

    report = ConstraintReport(opened, constraints.wanted(), constraints.format, constraints.about)
    editor = line_editor.LineEditor() if talks else None
    template = _template(templates, opened, model)
    with opening.error_context(model):
        answerer = _answerer(run, opened, template, asked, lambda: editor is not None and editor.asked)
    with outputs.open_output(output, live=True) as out:
        if editor is not None:
            from lmkit.commands.generation.terminal_chat import TerminalChat
            from lmkit.prompting.answers import Dialogue

            run.terminal.notice(f"{streams.display(model)}; /help lists commands, Ctrl-D ends")
            with editor.interrupts():
                dialogue = Dialogue(answerer, seed, "1")
                TerminalChat(run, dialogue, out, editor, _typed(system), report.constraint).talk()
            return
        from lmkit.commands.generation.chat_records import ChatFiles

        answers = ChatFiles(run, answerer, out, seed, _typed(system), report.constraint, report, json)
        for name in files or [streams.STDIN]:
            file = open_records(run, name)
            answers.answer(file, _form(name, form, file))
        answers.close()


def _typed(text: str | None) -> str | None:
    return None if text is None else streams.argument_text(text)


def _form(name: str, asked: str, file: record_reader.RecordFile) -> str:
    """The form of a file: the one asked for; of `auto` what its name or, of stdin, its first line says."""
    if asked == "auto" and name == streams.STDIN:
        return file.sniffed_form()
    return record_reader.form_of(name, asked, "text", FORMS)


def _with_marks(model: "StoredModel") -> "StoredModel":
    """The model, to which the control tokens of a template are tokens, where it has such."""
    from lmkit.architectures.neural_model import NeuralModel

    special = model.tokenizer.is_subword and isinstance(model, NeuralModel)
    return opening.with_special(model, True) if special else model


def _answerer(run: Run, model: "StoredModel", chat: "Chat", asked: Settled, stopped: Callable[[], bool]) -> "Answerer":
    """What answers as options ask for."""
    from lmkit.generation import prompt_encoding
    from lmkit.prompting.answers import Answerer

    options = asked.sampling
    sampler = options.sampler(prompt_encoding.never(model, unknown=options.unknown))
    stops = tuple(streams.argument_bytes(text, raw=True) for text in asked.stop)
    answerer = Answerer(model, chat, sampler, asked.max_tokens, stops, stopped, options.control)
    if answerer.most < asked.max_tokens and ("max_tokens" in run.given):
        run.terminal.notice(
            f"answers have at most {answerer.most} tokens, half of the context, instead of {asked.max_tokens}"
        )
    return answerer


def _template(templates: ChatTemplateOptions, model: "StoredModel", name: str) -> "Chat":
    """The template asked for, or the model's own. Raises UsageError where there is none."""
    from lmkit.commands.loading.chat_templates import OpenedModel

    found = OpenedModel(name, model)
    if templates.template is None and not found.published.chat_templates:
        raise UsageError(
            f"{streams.display(name)} has no chat template", hint="choose one: --template chatml|llama2|FILE"
        )
    return templates.chat(found)
