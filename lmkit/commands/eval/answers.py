"""`lmkit eval answers`: answers extracted from texts, against gold answers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import regex
from lmkit.commands.options.evaluation import EvaluationOptions
from lmkit.commands.options.option_groups import Before, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.records import predictions
from lmkit.commands.reports import metrics
from lmkit.errors import DataError
from lmkit.io import streams
from lmkit.io.records import to_json
from lmkit.metrics.item_alignment import Key, align

if TYPE_CHECKING:
    from lmkit.metrics.arithmetic_steps import Step

PREDICTED = ("text", "answer", "prediction")
_SHOWN = 10  # wrong steps that are listed


@with_groups()
def answers(
    run: Run,
    options: EvaluationOptions,
    extract: Annotated[regex.Extract, Before("field")] = None,
    last: Annotated[
        bool, typer.Option("--last", help="Use the last match of --extract instead of the first."), Before("field")
    ] = False,
    numbers: Annotated[regex.Numbers, Before("field")] = False,
    vote: Annotated[
        bool,
        typer.Option("--vote", help="Majority vote: take the most frequent answer of all texts with the same id."),
        Before("field"),
    ] = False,
    check_arithmetic: Annotated[
        bool,
        typer.Option("--check-arithmetic", help="Verify each equation `a + b = c` in the texts and report wrong ones."),
        Before("field"),
    ] = False,
) -> None:
    r"""Extract answers from texts and score them.

    Texts are records of `lmkit sample` (`text`) or lines. Answers are equal if they differ only in case, NFKC
    form or white space; with --numbers, if the last numbers are equal, ignoring `$`, `%`, thousands commas and
    trailing zeros. A text without an answer is wrong. --json prints a record per item (`id`, `answer`,
    `gold`, `correct`; with --numbers `number`), then one with `accuracy` and `n`.

    Several texts with one id are separate items that share a gold answer. --vote makes one item of them, with
    the majority answer (ties: the first; self-consistency, Wang et al. 2023).

    --check-arithmetic verifies + - * / and brackets exactly and skips ambiguous expressions. Matching --extract
    is limited to 10 seconds and 512 MB per text. Intervals and --against are as in `lmkit eval classify`.

    Examples:
      lmkit eval answers --extract 'The answer is (.*?)\.' --gold gold.txt texts.txt
      lmkit eval answers --extract '#### (.*)' --numbers --gold gsm8k.jsonl --gold-field answer texts.jsonl
      lmkit sample -m model.lm -n 5 prompts.jsonl | lmkit eval answers --numbers --vote --gold gold.txt
    """
    from lmkit.metrics import comparison
    from lmkit.metrics.answer_extraction import Rules

    rules = Rules(regex.extractor(extract, last=last), numbers=numbers)
    with metrics.open_report(run, "answers", options, options.inputs) as report:
        systems = _systems(run, options, rules, vote=vote)
        found = systems[0]
        _warn_missing(run, found)
        scores = [{"accuracy": [float(one.judged.correct) for one in items]} for items in systems]
        steps = _check_steps(run, found) if check_arithmetic and not options.bare else None
        if options.json and not options.bare:
            for place, one in enumerate(found):
                wrong = {} if steps is None else {"wrong_steps": steps.wrong[place]}
                report.out.line(to_json(one.record(vote=vote, numbers=numbers) | wrong))
        report.show(
            comparison.of_means(scores, options.sampling), len(found), _how(extract, rules, vote=vote),
            counts={"without_answer": sum(one.judged.answer is None for one in found)},
            more={} if steps is None else {"steps": steps.total, "wrong_steps": sum(map(len, steps.wrong))},
        )  # fmt: skip


def _how(extract: str | None, rules: Any, *, vote: bool) -> dict[str, object]:
    """Return the signature's parts about how answers were found and compared."""
    parts: dict[str, object] = {"extract": "whole" if extract is None else "pattern"}
    if extract is not None:
        parts |= {"pattern": hashlib.sha256(extract.encode()).hexdigest()[:8]}
        parts |= {"match": "last" if rules.extractor.last else "first"}
    return parts | {"compared": "numbers" if rules.numbers else "nfkc+fold", "votes": "majority" if vote else "none"}


@dataclass(frozen=True)
class _Item:
    """An item: its texts, its gold answers, and what was found."""

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


def _systems(run: Run, options: EvaluationOptions, rules: Any, *, vote: bool) -> list[list[_Item]]:
    """Read the texts of one system or two and their gold answers, and judge the texts."""
    gold = predictions.Gold(run, options, predictions.GOLD, several=True)

    def read(name: str) -> list[_Item]:
        items = predictions.read(run, name, predictions.Fields(PREDICTED, options.field))
        return _judged(rules, items, gold.of(items, name, samples=True), vote=vote)

    found = read(options.file)
    if options.against is None:
        return [found]
    return [found, _aligned(found, read(options.against), options.file, options.against)]


def _judged(rules: Any, items: list[predictions.Item], golds: list[predictions.Item], *, vote: bool) -> list[_Item]:
    """Judge each text, or with `vote` the texts of each id together."""
    from lmkit.metrics.answer_extraction import judge

    answers, groups = _found(rules, items), dict[object, list[int]]()
    for place, item in enumerate(items):
        if vote and item.id is None:
            raise DataError(f"{item.place}: no `id`, which --vote needs to group texts")
        groups.setdefault(item.id if vote else place, []).append(place)
    found = []
    for places in groups.values():
        gold = golds[places[0]]
        try:
            judged = judge(rules, [answers[place] for place in places], gold.values)
        except ValueError as error:
            raise DataError(f"{gold.place}: the gold answer has {error}") from None
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
    """Return a second system's items in the order of the first's: by ids that are there once, else as they come."""

    def keys(items: list[_Item]) -> list[Key]:
        own = [Key(one.texts[0].id, one.texts[0].place) for one in items]
        unique = len({key.id for key in own}) == len(own)
        return own if unique else [key._replace(id=None) for key in own]

    files = streams.display(file), streams.display(against)
    return [others[number] for number in align(keys(found), keys(others), files)]


def _warn_missing(run: Run, found: Sequence[_Item]) -> None:
    """Say how many texts have no answer."""
    missing = [one for one in found if one.judged.answer is None]
    if missing:
        run.terminal.notice(
            f"{len(missing)} of {len(found)} items have no answer, counted as wrong "
            f"(the first: {missing[0].texts[0].place})"
        )


@dataclass(frozen=True)
class _Steps:
    """The number of equations that were checked, and the wrong ones of each item."""

    total: int
    wrong: list[list[dict[str, str | None]]]


def _check_steps(run: Run, items: Sequence[_Item]) -> _Steps:
    """Verify the equations in the texts, and report wrong ones."""
    from lmkit.metrics import arithmetic_steps

    total = 0
    wrong: list[list[tuple[predictions.Item, Step]]] = []
    for item in items:
        steps = [(text, step) for text in item.texts for step in arithmetic_steps.steps(text.value)]
        total += len(steps)
        wrong.append([(text, step) for text, step in steps if not step.right])
    listed = [found for steps in wrong for found in steps]
    for text, step in listed[:_SHOWN]:
        value = "division by zero" if step.value is None else f"correct: {step.value}"
        run.terminal.notice(f"{text.place}: {step.text} ({value})")
    more = f", {len(listed) - _SHOWN} of them not shown" if len(listed) > _SHOWN else ""
    run.terminal.notice(f"{len(listed)} of {total} equations in the texts are wrong{more}")
    return _Steps(total, [[_record(step) for _, step in steps] for steps in wrong])


def _record(step: "Step") -> dict[str, str | None]:
    return {"step": step.text, "value": None if step.value is None else str(step.value)}
