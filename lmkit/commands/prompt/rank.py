"""`lmkit prompt rank`: answers of one prompt in the order of a model's likelihood or margin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.answer_scoring import Beta, Reference
from lmkit.commands.options.option_groups import in_sections
from lmkit.commands.options.standard import Bos, Json, ModelOption, ModelThreads, Output, ParseSpecial, Run, Window
from lmkit.commands.options.standard import choice as one_of
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs
from lmkit.io.record_reader import encoded
from lmkit.io.records import to_json

if TYPE_CHECKING:
    from lmkit.prompting.answer_ranking import AnswerLikelihood, AnswerRanker, RankedAnswer

NORMS = ("none", "tokens", "bytes", "chars", "pmi")
BETA = 0.1
SECTIONS = {
    "Input": ("files", "model", "reference", "parse_special", "bos", "window"),
    "Scores": ("norm", "beta"),
    "Output": ("top", "bare", "json", "output"),
    "Speed": ("threads",),
}


@in_sections(SECTIONS)
def rank(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", show_default=False,
            help="Answers: JSON Lines with `prompt` and `text`, those of one prompt together; `-` or none: stdin.",
        ),
    ] = None,
    model: ModelOption = None,
    reference: Reference = None,
    norm: Annotated[
        str,
        typer.Option(
            "--norm", metavar="NAME", callback=one_of(*NORMS),
            help="Normalisation of log-probabilities: `tokens`, `bytes`, `chars`, `none`, or `pmi`.",
        ),
    ] = "tokens",
    beta: Beta = BETA,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=0, help="Number of answers to keep of each prompt (0 = all).")
    ] = 0,
    parse_special: ParseSpecial = False,
    bos: Bos = "auto",
    window: Window = False,
    threads: ModelThreads = None,
    bare: Annotated[bool, typer.Option("--bare", "-b", help="Print only the texts, one per line.")] = False,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    r"""Rank the answers to each prompt by a model's likelihood.

    Reads what `lmkit sample -n N --json` prints, and prints each prompt's records from the best to the worst with
    `rank` (from 1), `score`, `judge_nats` and `judge_tokens`; with --top 1 this is best-of-n sampling. Answers of one
    prompt are records one after another. The end of an answer whose `finish_reason` is `eos` is scored too.

    `score` is the log-probability after the prompt, in nats, divided by tokens, bytes or characters, or minus that
    of the answer alone (`pmi`); the higher the better. With --reference it is the margin, B (log p - log q), of
    whole answers: the reward that `lmkit finetune prefer` learns. Ties keep their order.

    Examples:
      lmkit sample -m model.lm -n 8 --prompt "the cat" --json | lmkit prompt rank -m judge.lm --top 1
      lmkit sample -m sft.lm -n 8 prompts.jsonl | lmkit prompt rank -m dpo.lm --reference sft.lm -o ranked.jsonl
      lmkit sample -m model.lm -n 8 --prompt "the cat" --json | lmkit prompt rank -m judge.lm --norm pmi -b
    """
    if bare and json:
        raise UsageError("--bare and --json exclude each other")
    if reference is not None and "norm" in run.given:
        raise UsageError("--norm and --reference exclude each other: margins are of whole answers")
    (name,), texts = opening.sources([model] if model is not None else [], files)
    opening.check_single_stdin(name, reference, *texts)
    opening.use_threads(threads, name)

    def opened(name: str) -> "AnswerLikelihood":
        from lmkit.prompting.answer_ranking import AnswerLikelihood

        found = opening.with_special(opening.open_language_model(name), parse_special)
        return AnswerLikelihood(opening.with_bos(found, bos), window=window)

    judge = opened(name)
    from lmkit.prompting.answer_ranking import AnswerRanker

    ranker = AnswerRanker(judge, norm=norm, reference=None if reference is None else opened(reference), beta=beta)
    with outputs.open_output(output, live=True) as out:
        for answers in _groups(run, texts):
            for record in _ranked(ranker, answers)[: top or None]:
                if bare:
                    out.answer(encoded(record["text"], answers[0].place).replace(b"\n", b"\\n") + b"\n")
                else:
                    out.line(to_json(record))


@dataclass(frozen=True)
class _Answered:
    """A record with its prompt and answer."""

    place: str
    prompt: str
    answer: "RankedAnswer"
    fields: dict[str, Any]


def _groups(run: Run, files: Sequence[str]) -> Iterator[list[_Answered]]:
    """The records of each prompt. Raises DataError for one without a prompt or a text."""
    for name in files:
        records = open_records(run, name).records("jsonl")
        answered = (_answered(record.fields or {}, record.place) for record in records)
        for _, group in groupby(answered, lambda one: one.prompt):
            yield list(group)


def _answered(fields: dict[str, Any], place: str) -> _Answered:
    from lmkit.prompting.answer_ranking import RankedAnswer

    for name in ("prompt", "text"):
        if not isinstance(fields.get(name), str):
            raise DataError(f"{place}: no text `{name}`", hint="`lmkit sample --json` prints records with both")
        encoded(fields[name], place, f"its `{name}` has ")
    answer = RankedAnswer(fields["text"], fields.get("finish_reason") == "eos")
    return _Answered(place, fields["prompt"], answer, fields)


def _ranked(ranker: "AnswerRanker", answers: Sequence[_Answered]) -> list[dict[str, Any]]:
    """The records of a prompt from the best to the worst."""
    from lmkit.prompting.answer_ranking import order

    with opening.error_context(answers[0].place):
        found = ranker.records(answers[0].prompt, [one.answer for one in answers])
    places = order([one["score"] for one in found])
    return [answers[at].fields | {"rank": rank, **found[at]} for rank, at in enumerate(places, 1)]
