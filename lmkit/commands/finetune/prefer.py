"""`lmkit finetune prefer`: a language model aligned with preferences by direct preference optimisation."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.finetune.conversation_model import ConversationReader, open_base, record_of
from lmkit.commands.finetune.conversation_session import PreferenceTuning, Settings, Tuned, adapter_of
from lmkit.commands.finetune.reference_scores import ReferenceScores
from lmkit.commands.loading import models as opening
from lmkit.commands.options.answer_scoring import Beta
from lmkit.commands.options.chat_templates import ChatTemplateOptions
from lmkit.commands.options.finetuning import Examples, select_by
from lmkit.commands.options.language_finetuning import AnswerTuning, BaseModel, defaults, sections
from lmkit.commands.options.neural_finetuning import NeuralFinetuning
from lmkit.commands.options.option_groups import Before, in_sections, with_groups
from lmkit.commands.options.standard import ADJUSTABLE, UNRECORDED, Run
from lmkit.commands.records.conversations import read_preferences
from lmkit.commands.training_run.session import state_file
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams

if TYPE_CHECKING:
    from lmkit.data.answer_sequences import AnswerSequence

    Pairs = list[tuple[AnswerSequence, AnswerSequence]]

SelectBy = select_by("accuracy", "loss", "margin")
WITHOUT = ("values", "day", "pooling", "seeds", "show_mask", "json", "neural.lr")
RATE = 0.1
"""The learning rate beside that of tuning on answers: log-probabilities of whole answers move quickly."""


@in_sections(sections("beta", "reference_cache", file="file", shown=()))
@with_groups(without=WITHOUT, neural=defaults(epochs=1.0))
def prefer(
    run: Run,
    file: Annotated[
        str,
        typer.Argument(
            metavar="[FILE]", show_default=False,
            help="Pairs as JSON Lines: a `prompt` (text or messages) or an `instruction`, the `chosen` answer and "
            "the `rejected` one; `-` or none: stdin.",
        ),
        UNRECORDED,
    ] = streams.STDIN,
    model: BaseModel = None,
    *,
    beta: Beta = 0.1,
    reference_cache: Annotated[
        str | None,
        typer.Option(
            "--reference-cache", metavar="FILE", show_default=False,
            help="Log-probabilities under the reference: read from FILE if they are there, else written to it.",
        ),
        UNRECORDED,
    ] = None,
    examples: Examples,
    select_by: Annotated[SelectBy, Before("output")] = "accuracy",  # type: ignore[valid-type]
    templates: ChatTemplateOptions,
    answers: AnswerTuning,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr", metavar="RATE", min=0.0, help="Peak learning rate of AdamW.",
            show_default="a tenth of that of `finetune instruct`",
        ),
        ADJUSTABLE,
        Before("weight_decay"),
    ] = None,
    neural: NeuralFinetuning,
) -> None:  # fmt: skip
    """Align a language model with preferences (DPO).

    margin = beta ((chosen - reference_chosen) - (rejected - reference_rejected)), loss = -log sigmoid(margin), of
    log-probabilities of whole answers with their ends, sums over tokens (Rafailov et al. 2023). The reference is
    MODEL as it was; it is scored once, before training, so that there is never a second model in memory.

    Template, --train and the result are as in `lmkit finetune instruct`.

    Examples:
      lmkit finetune prefer -m sft.lm pairs.jsonl --valid dev.jsonl -o dpo.lm
      lmkit finetune prefer -m sft.lm --beta 0.3 --train lora --reference-cache ref.lm pairs.jsonl -o adapter.lm
    """
    neural = replace(neural, lr=lr)
    opening.check_single_stdin(file, examples.valid)
    outputs.expect_output(examples.output, binary=True)
    opening.needs_torch("models are fine-tuned")
    if neural.patience and examples.valid is None:
        raise UsageError("--patience needs validation examples: --valid")
    settings = Settings(examples, neural, answers, str(select_by))
    state = state_file(run, settings)
    base = open_base(model, templates)
    reader = ConversationReader(run, base, answers.truncate)
    found = _pairs(run, reader, file, examples.form)
    reader.close("training")
    held = None if examples.valid is None else _pairs(run, reader, examples.valid, examples.form)
    reader.close("validation")

    from lmkit.training.answer_batches import MixedItems, PreferencePairs
    from lmkit.training.objectives.preferences import PreferenceOptimisation

    tuned = Tuned(base, adapter_of(base, neural), base.settings(reader.end))
    records = [_record(name, pairs) for name, pairs in ((file, found), (examples.valid, held)) if pairs is not None]
    objective = PreferenceOptimisation(beta, neural.label_smoothing)
    session = PreferenceTuning(run, settings, tuned, objective, state, records)
    cache = ReferenceScores(run, reference_cache, {"parent": base.parent, "pairs": [one["sha256"] for one in records]})
    scores = cache.of(session.network, [*found, *(held or [])])
    others = None if held is None else PreferencePairs(held, scores[len(found) :])
    batches = MixedItems(PreferencePairs(found, scores[: len(found)]), neural.batch, examples.seed)
    session.learn(batches, others, RATE).go()


def _pairs(run: Run, reader: ConversationReader, name: str, form: str) -> "Pairs":
    """The pairs of a file, each side within the context. Raises DataError where none is."""
    found = read_preferences(run, name, form)
    sides = [
        reader.encode([(getattr(one, side), one.place, one.id) for one in found], last=True)
        for side in ("chosen", "rejected")
    ]
    pairs = []
    for one, other in zip(*sides, strict=True):
        if not (one.sequences and other.sequences):
            continue
        chosen, rejected = one.sequences[-1], other.sequences[-1]
        if chosen.ids.tolist() == rejected.ids.tolist():
            raise DataError(f"{one.place}: `chosen` and `rejected` are the same tokens, which prefers nothing")
        pairs.append((chosen, rejected))
    if not pairs:
        raise DataError(f"{streams.display(name)}: no pair fits the context")
    return pairs


def _record(name: str | None, pairs: "Pairs") -> dict[str, Any]:
    return {**record_of(str(name), [side for pair in pairs for side in pair]), "examples": len(pairs)}
