"""`lmkit finetune instruct`: a language model tuned on instructions and conversations."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.finetune.conversation_model import (
    ConversationModel,
    ConversationReader,
    Encoded,
    open_base,
    record_of,
)
from lmkit.commands.finetune.conversation_session import ConversationTuning, Settings, Tuned, adapter_of
from lmkit.commands.loading import models as opening
from lmkit.commands.options.chat_templates import ChatTemplateOptions
from lmkit.commands.options.finetuning import Examples, select_by
from lmkit.commands.options.language_finetuning import AnswerTuning, BaseModel, defaults, sections
from lmkit.commands.options.neural_finetuning import NeuralFinetuning
from lmkit.commands.options.option_groups import Before, in_sections, with_groups
from lmkit.commands.options.standard import UNRECORDED, Run
from lmkit.commands.options.weights import task_weights
from lmkit.commands.records.conversations import read_conversations
from lmkit.commands.training_run.session import state_file
from lmkit.commands.training_run.state_file import StateFile
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table, to_json

if TYPE_CHECKING:
    from lmkit.data.answer_sequences import AnswerSequence

SelectBy = select_by("loss", "accuracy")
WITHOUT = ("values", "day", "pooling", "seeds")


@in_sections(sections(examples=("weights",)))
@with_groups(without=WITHOUT, neural=defaults())
def instruct(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", show_default=False,
            help="Conversations: JSON Lines (`instruction`, `input`, `output`; or `messages`), TSV, CSV or Parquet; "
            "`-` or none: stdin.",
        ),
        UNRECORDED,
    ] = None,
    model: BaseModel = None,
    *,
    examples: Examples,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", metavar="LIST", show_default="by size",
            help="Weights of tasks by the names of their FILEs without endings, such as `qa=0.7,sums=0.3`.",
        ),
        Before("seed"),
    ] = None,
    select_by: Annotated[SelectBy, Before("output")] = "loss",  # type: ignore[valid-type]
    templates: ChatTemplateOptions,
    answers: AnswerTuning,
    neural: NeuralFinetuning,
) -> None:  # fmt: skip
    """Tune a language model on instructions and conversations.

    Only answers are learned, each with the token that ends it; --show-mask prints which tokens these are.
    Conversations are laid end to end, and none sees another. The chat template is the model's own, else that of
    `lmkit data format --style instruct`; the tuned model keeps it. Prompt and answer never share a token.

    With --valid the weights of the best epoch by --select-by are kept. --train lora writes an adapter, which
    `lmkit finetune merge` adds to MODEL.

    Examples:
      lmkit finetune instruct -m gpt.lm train.jsonl --valid dev.jsonl -o sft.lm
      lmkit finetune instruct -m SmolLM2-135M --template chatml --train lora --rank 16 chats.jsonl -o adapter.lm
      lmkit finetune instruct -m gpt.lm qa.jsonl sums.jsonl --weights qa=0.7,sums=0.3 -o sft.lm
      lmkit finetune instruct -m gpt.lm train.jsonl --show-mask
    """
    names = list(files or [streams.STDIN])
    opening.check_single_stdin(*names, examples.valid)
    shares = task_weights(names, weights)
    if not answers.show_mask:
        outputs.expect_output(examples.output, binary=True)
        opening.needs_torch("models are fine-tuned")
    if neural.patience and examples.valid is None:
        raise UsageError("--patience needs validation examples: --valid")
    settings = Settings(examples, neural, answers, str(select_by))
    state = None if answers.show_mask else state_file(run, settings)
    base = open_base(model, templates)
    reader = ConversationReader(run, base, answers.truncate)
    tasks = [_encoded(run, reader, name, examples.form) for name in names]
    reader.close("training")
    if answers.show_mask:
        _print_mask(base, [one for task in tasks for one in task], examples.output, as_json=answers.json)
        return
    held = None if examples.valid is None else _encoded(run, reader, examples.valid, examples.form)
    reader.close("validation")
    tuned = Tuned(base, adapter_of(base, neural), base.settings(reader.end))
    _tune(run, tuned, settings, state, list(zip(names, tasks, strict=True)), held, shares)


def _tune(
    run: Run, tuned: Tuned, settings: Settings, state: StateFile | None, tasks: Sequence[tuple[str, Sequence[Encoded]]],
    held: Sequence[Encoded] | None, shares: Sequence[float],
) -> None:  # fmt: skip
    from itertools import accumulate

    from lmkit.training.answer_batches import AnswerItems, MixedItems
    from lmkit.training.objectives.answers import AnswerModelling

    examples, neural = settings.examples, settings.options
    found = [_sequences(task, name) for name, task in tasks]
    together = [one for own in found for one in own]
    records = [record_of(name, own) for (name, _), own in zip(tasks, found, strict=True)]
    others = None
    if held is not None:
        others = _sequences(held, str(examples.valid))
        records.append(record_of(str(examples.valid), others))
    objective = AnswerModelling(neural.label_smoothing)
    session = ConversationTuning(run, settings, tuned, objective, state, records)
    bounds = list(accumulate(len(own) for own in found))
    batches = MixedItems(AnswerItems(together), neural.batch, examples.seed, bounds, shares)
    read, learned = (sum(counts) for counts in zip(*((one.inputs, int(one.learned.sum())) for one in together),
                                                   strict=True))  # fmt: skip
    run.terminal.notice(f"{len(together):,} conversations of {read:,} tokens, {learned:,} of which are learned")
    session.learn(batches, None if others is None else AnswerItems(others)).go()


def _encoded(run: Run, reader: ConversationReader, name: str, form: str) -> list[Encoded]:
    found = read_conversations(run, name, form)
    return reader.encode([(one.messages, one.place, one.id) for one in found])


def _sequences(encoded: Sequence[Encoded], name: str) -> "list[AnswerSequence]":
    found = [sequence for one in encoded for sequence in one.sequences]
    if not found:
        raise DataError(f"{streams.display(name)}: no conversation fits the context")
    return found


def _print_mask(base: ConversationModel, found: Sequence[Encoded], output: str | None, *, as_json: bool) -> None:
    """Each token with 1 where it is learned, 0 where not; sequences of one conversation have its id."""
    with outputs.open_output(output) as out:
        table = None if as_json else Table(out, ("id", "token", "piece", "learned"), as_json=False)
        for one in found:
            for sequence in one.sequences:
                if table is not None:
                    table.rows(_rows(base, one, sequence))
                    continue
                pieces = [_piece(base, token) for token in sequence.ids.tolist()]
                mask = sequence.learned.astype(int).tolist()
                out.line(to_json({"id": one.id, "ids": sequence.ids.tolist(), "pieces": pieces, "learned": mask}))


def _rows(base: ConversationModel, one: Encoded, sequence: "AnswerSequence") -> Iterator[dict[str, object]]:
    for token, learned in zip(sequence.ids.tolist(), sequence.learned.tolist(), strict=True):
        yield {"id": one.id, "token": token, "piece": _piece(base, token), "learned": int(learned)}


def _piece(base: ConversationModel, token: int) -> str:
    return base.weights.tokenizer.piece(token).decode(errors="replace")
