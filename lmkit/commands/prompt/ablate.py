"""`lmkit prompt ablate`: the effect of example labels on accuracy."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import answer_scoring, prompting
from lmkit.commands.options import labels as label_options
from lmkit.commands.options.figures import Plot
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import (
    Json,
    Level,
    ModelOption,
    Output,
    Resamples,
    Run,
    Seed,
    Threads,
    Window,
)
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.figures import charts
from lmkit.io.figures import files as figure_files
from lmkit.io.records import to_json

if TYPE_CHECKING:
    from lmkit.prompting.examples import Example
    from lmkit.prompting.label_ablation import Outcome, Trial

ARMS = ("gold", "random", "flipped", "none")
COLUMNS = ("arm", "k", "accuracy", "low", "high", "difference", "difference_low", "difference_high", "p", "seeds", "n")

Dev = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...", show_default=False,
        help="Items with correct outputs: TSV or JSON Lines; `-` or none: stdin.",
    ),
]  # fmt: skip
Arms = Annotated[
    str, typer.Option("--labels", metavar="LIST", help="Arms to compare: `gold`, `random`, `flipped` and `none`.")
]
Counts = Annotated[
    str,
    typer.Option(
        "--shots", "-k", metavar="LIST", help="Comma-separated numbers of examples in a prompt, such as `0,1,4`."
    ),
]
Seeds = Annotated[
    int,
    typer.Option(
        "--seeds", metavar="N", min=1, help="Number of seeds, from 0, each with other examples and other random labels."
    ),
]
Candidates = Annotated[
    list[str] | None,
    typer.Option(
        "--candidates", metavar="LIST", show_default="the outputs in SHOTS",
        help="Comma-separated candidate answers (spaces around commas are dropped). Repeat the option to give one "
        "answer verbatim each time.",
    ),
]  # fmt: skip
Items = Annotated[
    str | None,
    typer.Option("--items", metavar="FILE", show_default=False, help="Write each answer to FILE, JSON Lines."),
]


@dataclass(frozen=True, kw_only=True)
class AblationOptions:
    """The options of arms, numbers of examples and seeds."""

    labels: Arms = "gold,random,flipped,none"
    counts: Counts = "4"
    seeds: Seeds = 5

    @property
    def arms(self) -> list[str]:
        """The arms in order. Raises UsageError."""
        names = [name.strip() for name in self.labels.split(",")]
        odd = [name for name in names if name not in ARMS]
        if odd:
            raise UsageError(f"--labels: {odd[0]!r} is not one of {', '.join(ARMS)}")
        return list(dict.fromkeys(names))

    @property
    def numbers(self) -> list[int]:
        """The numbers of examples in order. Raises UsageError."""
        parts = [part.strip() for part in self.counts.split(",")]
        if not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
            raise UsageError(f"--shots {self.counts!r} is not a list of numbers", hint="for example -k 0,1,4")
        return list(dict.fromkeys(map(int, parts)))


SECTIONS = {
    "Input": (
        "shots",
        "files",
        "model",
        "form",
        "shots_form",
        "input_field",
        "output_field",
        "encoding_errors",
        "window",
    ),
    "Experiment": ("labels", "counts", "seeds"),
    "Layout": ("instruction", "sep", "example_sep"),
    "Candidates": ("candidates",),
    "Scores": ("norm", "domain", "content_free"),
    "Intervals": ("resamples", "level", "seed"),
    "Output": ("items_file", "plot", "json", "output"),
    "Speed": ("cache", "threads"),
}


@in_sections(SECTIONS)
@with_groups()
def ablate(
    run: Run,
    shots: prompting.Shots,
    files: Dev = None,
    model: ModelOption = None,
    *,
    asked: AblationOptions,
    instruction: prompting.Instruction = "",
    sep: prompting.Sep = " => ",
    example_sep: prompting.ExampleSep = r"\n",
    candidates: Candidates = None,
    normalization: answer_scoring.NormalizationOptions,
    resamples: Resamples = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    window: Window = False,
    reading: prompting.ExampleOptions,
    cache: answer_scoring.Cache = None,
    threads: Threads = None,
    items_file: Items = None,
    plot: Plot = None,
    json: Json = False,
    output: Output = None,
) -> None:
    r"""Measure the effect of example labels on accuracy.

    Prompts differ only in the labels of their examples (Min et al. 2022): `gold` has the labels of SHOTS;
    `random` draws each label uniformly from all, the correct one included; `flipped` replaces each label by the
    next in order of appearance, the last by the first; `none` shows inputs alone. For each seed the same
    examples are used for all items and arms; a smaller -k uses the first of them. With -k 0 all arms are equal.

    A row per arm and number of examples: `accuracy`, the mean over seeds and items, with a bootstrap interval
    over items; the paired `difference` to `gold` with its interval and p-value (for fewer than 30 differing
    items at least that of the exact sign test). --plot draws the accuracies. --items writes each answer: `arm`,
    `k`, `seed`, `id`, `answer`, `gold`, `correct`, `shots` (the examples) and `shown` (their labels).

    Examples:
      lmkit prompt ablate shots.tsv dev.tsv -m model.lm -k 0,1,4 --seeds 5
      lmkit prompt ablate shots.tsv dev.tsv -m gpt.lm --labels gold,random --sep '\n' --norm calibrated --json
    """
    arms, counts = asked.arms, asked.numbers
    outputs.expect_apart(output, items_file)
    if model is None:
        raise UsageError("no model: give -m MODEL")
    texts = list(files or [streams.STDIN])
    opening.check_single_stdin(model, shots, *texts)
    opening.use_threads(opening.core_count(threads), model)
    normalization.check()

    from lmkit.metrics.bootstrap import Sampling
    from lmkit.prompting import label_ablation
    from lmkit.prompting.answer_scorer import AnswerScorer
    from lmkit.prompting.examples import labels_of
    from lmkit.prompting.layout import Layout
    from lmkit.prompting.verbalizers import is_unknown_label

    examples = reading.examples(run, shots)
    items = list(_labelled(reading.items(run, texts, "tsv")))
    layout = Layout(*map(prompting.unescaped, (instruction, sep, example_sep)))
    answers = label_options.named(candidates, None) or tuple(labels_of(examples))
    opened = opening.open_language_model(model)
    answer_scoring.refuse_overwriting_inputs(cache, [model, shots, *texts])
    with ExitStack() as stack:
        out = stack.enter_context(outputs.open_output(output))
        listed = stack.enter_context(outputs.open_output(items_file)) if items_file else None
        done = stack.enter_context(answer_scoring.open_cache(run, cache))
        scorer = AnswerScorer(opened, normalization.normalization(), done, window=window, notice=run.terminal.notice)
        total = len(arms) * len(counts) * asked.seeds * len(items)
        progress = stack.enter_context(run.terminal.progress("answers", total, unit=""))
        trials = label_ablation.trials(examples, items, layout, arms=arms, counts=counts, seeds=range(asked.seeds))
        right: dict[tuple[str, int], list[list[bool]]] = {}
        for group in _groups(trials, len(items)):
            chosen = scorer.chosen([(trial.question(answers), trial.item.input) for trial in group])
            first = group[0]
            found = [answers[place] == trial.item.output for place, trial in zip(chosen, group, strict=True)]
            right.setdefault((first.arm, first.count), []).append(found)
            if listed is not None:
                listed.answer(_listing(group, [answers[place] for place in chosen]))
            progress.advance(len(group))
        label_options.warn_unknown_labels(run, sum(is_unknown_label(item.output, answers) for item in items))
        sampling = Sampling(seed, resamples, level)
        parts = {"model": opened.digest[:8], "norm": normalization.norm, "seeds": str(asked.seeds)}
        signature = metrics.signature("ablate", sampling, parts)
        found_outcomes = label_ablation.outcomes(right, sampling)
        _show(run, out, found_outcomes, signature, as_json=json)
    if plot is not None:
        figure_files.write(plot, _figure(found_outcomes))


def _labelled(items: "Iterator[Example]") -> "Iterator[Example]":
    """Items with outputs. Raises DataError for one without."""
    found = False
    for item in items:
        if item.output is None:
            raise DataError(
                f"{item.place}: no output", hint="give an input, a tab and an output; or a record with both"
            )
        found = True
        yield item
    if not found:
        raise DataError("no items")


def _groups(trials: "Iterator[Trial]", size: int) -> "Iterator[list[Trial]]":
    """Trials of one arm, number of examples and seed."""
    group: list[Trial] = []
    for trial in trials:
        group.append(trial)
        if len(group) == size:
            yield group
            group = []


def _listing(group: "Sequence[Trial]", answers: Sequence[str]) -> bytes:
    records = [
        {
            "arm": trial.arm, "k": trial.count, "seed": trial.seed, "id": trial.item.name, "answer": answer,
            "gold": trial.item.output, "correct": answer == trial.item.output,
            "shots": [shot.name for shot in trial.shots], "shown": [shot.output for shot in trial.shots],
        }
        for trial, answer in zip(group, answers, strict=True)
    ]  # fmt: skip
    return "".join(to_json(record) + "\n" for record in records).encode()


def _show(run: Run, out: outputs.Output, outcomes: "Sequence[Outcome]", signature: str, *, as_json: bool) -> None:
    if not as_json:
        metrics.show(out, [dict(zip(COLUMNS, _row(one), strict=True)) for one in outcomes], signature)
        return
    for one in outcomes:
        apart = one.difference
        record = {
            "arm": one.arm, "k": one.count, "seeds": one.seeds, "n": one.items, "accuracy": one.accuracy.value,
            "interval": metrics.ends(one.accuracy), "by_seed": one.by_seed,
            "difference": None if apart is None else apart.value,
            "difference_interval": metrics.ends(apart),
            "p": None if apart is None else apart.p, "signature": signature,
        }  # fmt: skip
        out.line(to_json(run.signed(record)))


def _figure(outcomes: "Sequence[Outcome]") -> charts.Figure:
    """Accuracy of each arm with its interval, a group of bars for each arm, a bar for each number of examples."""
    arms = list(dict.fromkeys(one.arm for one in outcomes))
    of = {(one.arm, one.count): one for one in outcomes}
    series = []
    for count in dict.fromkeys(one.count for one in outcomes):
        accuracies = [of[arm, count].accuracy for arm in arms]
        bounded = all(one.low is not None for one in accuracies)
        low, high = ([getattr(one, end) for one in accuracies] if bounded else [] for end in ("low", "high"))
        series.append(charts.Bars(f"{count} examples", [one.value for one in accuracies], low, high))
    title = f"Labels of examples: {outcomes[0].items} items, {outcomes[0].seeds} seeds"
    return charts.bars(title, arms, series, y="accuracy", high=1.0)


def _row(one: "Outcome") -> list[Any]:
    return [one.arm, one.count, *one.accuracy, *(one.difference or (None,) * 4), one.seeds, one.items]
