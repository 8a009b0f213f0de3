"""`lmkit eval wins`: how often the answers of one file are better than those of another."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.evaluation import ComparisonOptions, Predictions
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import ParseSpecial, Run, choice
from lmkit.commands.records.instructions import instructions_of
from lmkit.commands.records.record_files import open_records
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UsageError
from lmkit.io import streams, text_files
from lmkit.io.record_reader import encoded
from lmkit.io.records import id_key

if TYPE_CHECKING:
    from lmkit.prompting.answer_ranking import AnswerLikelihood

RULES = ("likelihood", "field", "gold", "instructions", "longer", "shorter")
Scorer = Callable[["_Answer"], float]


@with_groups()
def wins(
    run: Run,
    file: Predictions = streams.STDIN,
    *,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", show_default=False, help="Judge of --rule likelihood."),
        Before("against"),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule", metavar="RULE", callback=choice(*RULES), show_default="likelihood with -m",
            help="Rule: `likelihood`, `field`, `gold`, `instructions`, `longer` or `shorter`.",
        ),
        Before("against"),
    ] = None,
    norm: Annotated[
        str,
        typer.Option(
            "--norm", metavar="NAME", callback=choice("none", "tokens", "bytes", "chars"),
            help="Normalisation of the likelihood: `tokens`, `bytes`, `chars` or `none`.",
        ),
        Before("against"),
    ] = "tokens",
    field: Annotated[
        str,
        typer.Option("--field", metavar="NAME", help="Number of each record for --rule field; the higher wins."),
        Before("against"),
    ] = "score",
    parse_special: Annotated[ParseSpecial, Before("against")] = False,
    options: ComparisonOptions,
) -> None:  # fmt: skip
    """Compute the win rate of answers against others.

    Records of both files have a `text`; they are matched by `id`, else by order. An answer wins if its score is
    higher: its log-probability after the record's `prompt` under -m (`likelihood`, as in `lmkit prompt rank`), a
    number in --field, whether it equals `gold`, how many of its instructions it follows (as in `lmkit eval
    instruct`, loosely), or its length in characters. `win_rate` is the share of wins, a tie counting as half;
    `wins`, `ties` and `losses` are counts, and `p` is that of the sign test. -b prints `win_rate`.

    Intervals are bootstrap percentiles over prompts.

    Examples:
      lmkit eval wins dpo.jsonl --against sft.jsonl -m judge.lm
      lmkit eval wins tuned.jsonl --against base.jsonl --rule instructions
      lmkit eval wins --json a.jsonl --against b.jsonl --rule field --field reward
    """
    from lmkit.metrics import bootstrap, comparison

    against = options.against
    if against is None:
        raise UsageError("no second file: give --against FILE")
    rule = rule or ("likelihood" if model is not None else None)
    if rule is None:
        raise UsageError("no rule", hint=f"give a judge with -m MODEL, or --rule {'|'.join(RULES[1:])}")
    if (rule == "likelihood") != (model is not None):
        raise UsageError(
            "--rule likelihood needs -m MODEL" if model is None else f"-m cannot be combined with --rule {rule}"
        )
    with metrics.open_report(run, "wins", options, (file, against, model)) as report:
        first, second = _answers(run, file), _answers(run, against)
        second = [second[at] for at in _aligned(first, second, file, against)]
        score = _scorer(rule, field, norm, model, parse_special)
        apart = [_sign(score(one), score(other)) for one, other in zip(first, second, strict=True)]
        found = comparison.of_means([{"win_rate": [(one + 1) / 2 for one in apart]}], options.sampling)
        counts = {"wins": apart.count(1), "ties": apart.count(0), "losses": apart.count(-1)}
        p = bootstrap.sign_test(counts["wins"], counts["losses"])
        report.show(found, len(apart), {"by": rule}, counts={**counts, "p": p}, tables={})


class _Answer(NamedTuple):
    """A record with its answer."""

    id: str | None
    place: str
    text: str
    fields: Mapping[str, Any]


def _answers(run: Run, name: str) -> list[_Answer]:
    """The answers of a file. Raises DataError for records without a text."""
    found = []
    for record in open_records(run, name, text_files.TextReader()).records("jsonl"):
        fields = record.fields or {}
        text = fields.get("text")
        if not isinstance(text, str):
            raise DataError(f"{record.place}: no text `text`", hint="`lmkit sample --json` prints such records")
        encoded(text, record.place, "its `text` has ")
        known_by = fields.get("id")
        found.append(_Answer(None if known_by is None else id_key(known_by), record.place, text, fields))
    if not found:
        raise DataError(f"{streams.display(name)}: no answers: the input is empty")
    return found


def _aligned(first: Sequence[_Answer], second: Sequence[_Answer], name: str, other: str) -> list[int]:
    from lmkit.metrics.item_alignment import align

    return align(first, second, (streams.display(name), streams.display(other)))


def _sign(one: float, other: float) -> int:
    return (one > other) - (one < other)


def _scorer(rule: str, field: str, norm: str, model: str | None, parse_special: bool) -> Scorer:
    """What gives an answer its score by a rule."""
    if rule in ("longer", "shorter"):
        return lambda answer: len(answer.text) * (1 if rule == "longer" else -1)
    if rule == "gold":
        return _is_gold
    if rule == "field":
        return lambda answer: _number(answer, field)
    if rule == "instructions":
        return _followed
    from lmkit.prompting.answer_ranking import AnswerLikelihood

    assert model is not None
    opened = opening.with_special(opening.open_language_model(model), parse_special)
    judge = AnswerLikelihood(opened)
    return lambda answer: _likelihood(judge, answer, norm)


def _likelihood(judge: "AnswerLikelihood", answer: _Answer, norm: str) -> float:
    from lmkit.prompting.answer_ranking import RankedAnswer, normalised

    prompt = answer.fields.get("prompt")
    if not isinstance(prompt, str):
        raise DataError(f"{answer.place}: no text `prompt`")
    one = RankedAnswer(answer.text, answer.fields.get("finish_reason") == "eos")
    with opening.error_context(answer.place):
        return normalised([one], judge.scores(prompt, [one]), norm, ())[0]


def _is_gold(answer: _Answer) -> float:
    gold = answer.fields.get("gold")
    given = gold if isinstance(gold, list) else [gold]
    texts = [text.strip() for text in given if isinstance(text, str)]
    if len(texts) < len(given):
        raise DataError(f"{answer.place}: `gold` is neither a text nor a list of texts")
    return float(answer.text.strip() in texts)


def _number(answer: _Answer, field: str) -> float:
    value = answer.fields.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise DataError(f"{answer.place}: `{field}` is no number", hint="--field NAME names another")
    return float(value)


def _followed(answer: _Answer) -> float:
    with opening.error_context(answer.place):
        return sum(one.follows(answer.text, loose=True) for one in instructions_of(answer.fields))
