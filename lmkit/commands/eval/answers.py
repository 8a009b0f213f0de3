"""`lmkit eval answers`: answers found in texts against right ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import regex
from lmkit.commands.options.standard import (
    Against,
    Bare,
    Gold,
    GoldField,
    Json,
    Level,
    Output,
    PredictionField,
    Predictions,
    Resamples,
    Run,
    Seed,
)
from lmkit.commands.records import predictions
from lmkit.commands.reports import metrics
from lmkit.errors import DataError
from lmkit.io import streams
from lmkit.io.records import to_json

PREDICTED = ("text", "answer", "prediction")
_SHOWN = 10  # wrong steps that are told


def answers(
    run: Run,
    file: Predictions = streams.STDIN,
    gold: Gold = None,
    extract: regex.Extract = None,
    last: Annotated[bool, typer.Option("--last", help="The last match of --extract, not the first.")] = False,
    numbers: regex.Numbers = False,
    vote: Annotated[
        bool, typer.Option("--vote", help="Of texts of one id, the answer that most of them have is the answer.")
    ] = False,
    check_arithmetic: Annotated[
        bool, typer.Option("--check-arithmetic", help="Work out each `a + b = c` in the texts; say which are wrong.")
    ] = False,
    field: PredictionField = None,
    gold_field: GoldField = None,
    against: Against = None,
    resamples: Resamples = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:  # fmt: skip
    r"""Answers found in texts against right ones.

    The texts are those of `lmkit sample`, records with `text`, or lines. Answers are the
    same where they differ in case, in kinds of characters (NFKC) and in white space only,
    or, with --numbers, where the last number of each is the same: `$`, `%`, commas between
    thousands and zeros that could be left out say nothing. A text without an answer counts
    as wrong, and stderr says how many there are. --json prints a record for each item
    (`id`, `answer`, `gold`, `correct`, and with --numbers the `number` that was compared),
    and one with `accuracy`, `n` and the rest at last.

    Of several texts of one id each is an item, and they share one line of --gold; --vote
    makes one item of them: self-consistency (Wang et al. 2023); of answers with as many
    votes the one that came first.

    --check-arithmetic works out + - * / and brackets exactly. A result with decimals may be
    rounded to them. What may be read in another way is left alone: sums with words or
    letters at their numbers, `1 1/2`, `3(4)`, `5 / 1/2`, `350 000`, times and dates.

    A pattern with nested repetitions, such as (a+)+$, may take forever on some texts: one that
    takes more than 10 seconds or 512 MB for a text is an error. Intervals and --against are as in
    `lmkit eval classify`.

    Examples:
      lmkit eval answers --extract 'The answer is (.*?)\.' --gold gold.txt texts.txt
      lmkit eval answers --extract '#### (.*)' --numbers --gold gsm8k.jsonl --gold-field answer texts.jsonl
      lmkit sample -m model.lm -n 5 prompts.jsonl | lmkit eval answers --numbers --vote --gold gold.txt
    """
    from lmkit.metrics import bootstrap
    from lmkit.metrics.answer_extraction import Rules

    opening.check_single_stdin(file, gold, against)
    rules = Rules(regex.extractor(extract, last=last), numbers=numbers)
    sampling = bootstrap.Sampling(seed, 0 if bare else resamples, level)
    with streams.open_output(output, inputs=[file, gold, against]) as out:
        fields = predictions.Fields(PREDICTED, field)
        wanted = predictions.Fields(predictions.GOLD, gold_field, "--gold-field", several=True)

        def judged(name: str) -> list[_Item]:
            items = predictions.read(run, name, fields)
            golds = predictions.gold_of(run, name, items, gold, wanted, samples=True)
            return _judged(rules, name, items, golds, vote=vote)

        found = judged(file)
        second = None if against is None else _aligned(found, judged(against), file, against)
        _tell_missing(run, found)
        accuracy = bootstrap.interval(_right(found), seed, sampling.resamples, level)
        if bare:
            out.line(repr(accuracy.value))
            return
        summary: dict[str, Any] = {"accuracy": accuracy.value, "n": len(found)}
        summary |= {"without_answer": sum(one.judged.answer is None for one in found)}
        summary |= {"intervals": metrics.bounds({"accuracy": accuracy})}
        rows = metrics.rows({"accuracy": accuracy})
        if second is not None:
            difference = bootstrap.paired_difference(_right(found), _right(second), seed, resamples, level)
            other = bootstrap.interval(_right(second), resamples=0).value
            summary |= {"against": {"accuracy": other}, "differences": metrics.apart({"accuracy": difference})}
            rows = metrics.rows({"accuracy": accuracy}, {"accuracy": other}, {"accuracy": difference})
        wrong = _check_steps(run, found) if check_arithmetic else None
        if wrong is not None:
            summary |= {"steps": wrong.steps, "wrong_steps": sum(map(len, wrong.found))}
        signature = metrics.signature("answers", sampling, _signature(extract, rules, vote=vote))
        if not json:
            metrics.show(run, out, rows, signature)
            return
        for place, one in enumerate(found):
            steps = {} if wrong is None else {"wrong_steps": wrong.found[place]}
            out.line(to_json(one.record(vote=vote, numbers=numbers) | steps))
        out.line(to_json({**summary, "signature": signature}))


def _signature(extract: str | None, rules: Any, *, vote: bool) -> dict[str, object]:
    """What tells how answers were found and compared."""
    parts: dict[str, object] = {"extract": "whole" if extract is None else "pattern"}
    if extract is not None:
        parts |= {"pattern": hashlib.sha256(extract.encode()).hexdigest()[:8]}
        parts |= {"match": "last" if rules.extractor.last else "first"}
    return parts | {"compared": "numbers" if rules.numbers else "nfkc+fold", "votes": "majority" if vote else "none"}


@dataclass(frozen=True)
class _Item:
    """An item: its texts, what is right for it, and what was found."""

    texts: list[predictions.Item]
    gold: tuple[str, ...]
    judged: Any

    def record(self, *, vote: bool, numbers: bool) -> dict[str, Any]:
        """What --json prints."""
        known_by = {} if self.texts[0].id is None else {"id": self.texts[0].name}
        gold = self.gold[0] if len(self.gold) == 1 else list(self.gold)
        number = {"number": self.judged.form} if numbers else {}
        answer = {"answer": self.judged.answer, **number}
        record = {**known_by, **answer, "gold": gold, "correct": self.judged.correct}
        return record | ({"votes": self.judged.votes, "texts": self.judged.texts} if vote else {})


def _right(items: Sequence[_Item]) -> list[float]:
    return [float(one.judged.correct) for one in items]


def _judged(
    rules: Any, name: str, items: list[predictions.Item], golds: list[predictions.Item], *, vote: bool
) -> list[_Item]:
    """What becomes of each text, or with `vote` of the texts of each id."""
    from lmkit.metrics.answer_extraction import judge

    answers, groups = _found(rules, items), dict[object, list[int]]()
    for place, item in enumerate(items):
        if vote and item.id is None:
            raise DataError(f"{item.place}: no `id`, so which texts vote together is not known")
        groups.setdefault(item.id if vote else place, []).append(place)
    found = []
    for places in groups.values():
        gold = golds[places[0]]
        try:
            judged = judge(rules, [answers[place] for place in places], gold.values)
        except ValueError as error:
            raise DataError(f"{gold.place}: what is right has {error}") from None
        found.append(_Item([items[place] for place in places], gold.values, judged))
    return found


def _found(rules: Any, items: list[predictions.Item]) -> list[Any]:
    """The answer in each text. Raises LimitError with the text's place."""
    found = []
    answers = rules.answers([item.value for item in items])
    for item in items:
        with opening.error_context(item.place):
            found.append(next(answers))
    return found


def _aligned(found: list[_Item], others: list[_Item], file: str, against: str) -> list[_Item]:
    """A second system's items in the order of the first's: by ids that are there once, else as they come."""

    def named(items: list[_Item]) -> list[predictions.Item]:
        ids = [one.texts[0].id for one in items]
        unique = len(set(ids)) == len(ids)
        return [
            predictions.Item((str(place),), one.texts[0].id if unique else None, one.texts[0].place)
            for place, one in enumerate(items)
        ]

    return [others[int(item.value)] for item in predictions.aligned(named(found), named(others), file, against)]


def _tell_missing(run: Run, found: Sequence[_Item]) -> None:
    """Says how many texts have no answer."""
    missing = [one for one in found if one.judged.answer is None]
    if missing:
        run.terminal.notice(
            f"{len(missing)} of {len(found)} items have no answer, which counts as wrong; "
            f"the first is {missing[0].texts[0].place}"
        )


@dataclass(frozen=True)
class _Wrong:
    """How many sums were checked, and the wrong ones of each item."""

    steps: int
    found: list[list[dict[str, str | None]]]


def _check_steps(run: Run, items: Sequence[_Item]) -> _Wrong:
    """Works out the sums in the texts, and says which are wrong."""
    from lmkit.metrics import arithmetic_steps

    total, all_wrong, told = 0, [], 0
    for item in items:
        wrong: list[dict[str, str | None]] = []
        for text in item.texts:
            for step in arithmetic_steps.steps(text.value):
                total += 1
                if step.right:
                    continue
                value = None if step.value is None else str(step.value)
                wrong.append({"step": step.text, "value": value})
                told += 1
                if told <= _SHOWN:
                    shown = "divides by zero" if value is None else f"it is {value}"
                    run.terminal.notice(f"{text.place}: {step.text} ({shown})")
        all_wrong.append(wrong)
    more = f", {told - _SHOWN} of them not shown" if told > _SHOWN else ""
    run.terminal.notice(f"{told} of {total} sums in the texts are wrong{more}")
    return _Wrong(total, all_wrong)
