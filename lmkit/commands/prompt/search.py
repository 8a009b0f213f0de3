"""`lmkit prompt search`: templates ranked by accuracy on a development set."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import answer_scoring, labels
from lmkit.commands.options import templates as template_options
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Json, Level, ModelOption, Output, Resamples, Run, Seed, Threads, Window
from lmkit.commands.records import items
from lmkit.commands.reports import metrics
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import to_json
from lmkit.prompting.slot_templates import FilledTemplate

if TYPE_CHECKING:
    from lmkit.metrics.bootstrap import Sampling
    from lmkit.prompting.answer_scorer import AnswerScorer
    from lmkit.prompting.multiple_choice import Question
    from lmkit.prompting.template_search import TemplateOutcome

COLUMNS = ("template", "accuracy", "low", "high", "difference", "difference_low", "difference_high", "p", "n", "on")

Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--templates", metavar="FILE...", show_default=False,
        help="Templates to compare: files, named templates of `lmkit prompt fill`, or texts with [X].",
    ),
]  # fmt: skip
Dev = Annotated[
    str | None,
    typer.Option(
        "--dev",
        metavar="FILE",
        show_default=False,
        help="Development set: items with correct outputs, by which templates are ranked; `-`: stdin.",
    ),
]
Test = Annotated[
    str | None,
    typer.Option(
        "--test",
        metavar="FILE",
        show_default=False,
        help="Test set: held-out items on which the best template is also evaluated.",
    ),
]


SECTIONS = {
    "Input": ("model", "templates", "dev", "test", "form", "columns", "window"),
    "Candidates": ("candidates", "candidates_file"),
    "Scores": ("norm", "domain", "content_free"),
    "Intervals": ("resamples", "level", "seed"),
    "Output": ("json", "output"),
    "Speed": ("cache", "threads"),
}


@in_sections(SECTIONS)
@with_groups()
def search(
    run: Run,
    model: ModelOption = None,
    *,
    templates: Templates = None,
    dev: Dev = None,
    test: Test = None,
    form: items.Form = "auto",
    columns: items.Columns = None,
    candidates: labels.Candidates = None,
    candidates_file: labels.CandidatesFile = None,
    normalization: answer_scoring.NormalizationOptions,
    resamples: Resamples = 1000,
    level: Level = 0.95,
    seed: Seed = 0,
    window: Window = False,
    cache: answer_scoring.Cache = None,
    threads: Threads = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Rank prompt templates by accuracy on a development set.

    Each template fills a prompt for each item of --dev, as `lmkit prompt fill` does, and the model answers it,
    as `lmkit prompt answer` does. A row per template, the best first, ties in the order given: `accuracy` with
    its bootstrap interval, and the paired `difference` to the best with interval and p-value (for fewer than
    30 differing items at least that of the exact sign test).

    Candidates come from --candidates or --candidates-file, else from the named template, else from the outputs of
    --dev. With --test, the winning template is also evaluated on held-out items.

    Examples:
      lmkit prompt search -m gpt.lm --dev dev.jsonl --templates a.j2 b.j2 c.j2
      lmkit prompt search -m gpt.lm --dev dev.tsv --test test.tsv --templates '[X] It was [Z].' '[X] So [Z]!'
    """
    if not templates:
        raise UsageError("no templates", hint="name them with --templates a.j2 b.j2")
    if dev is None or model is None:
        raise UsageError(
            "--dev and --model are required", hint="lmkit prompt search -m MODEL --dev FILE --templates ..."
        )
    normalization.check()
    opening.check_single_stdin(model, dev, test)
    if test is not None and test == dev:
        run.terminal.notice("--test and --dev are the same file: test accuracy is optimistic")
    opening.use_threads(opening.core_count(threads), model)
    fillers = {name: _filler(name) for name in templates}

    from lmkit.metrics.bootstrap import Sampling
    from lmkit.prompting.answer_scorer import AnswerScorer

    given = labels.named(candidates, candidates_file)
    opened = opening.open_language_model(model)
    inputs = [model, dev, test, candidates_file, *templates]
    answer_scoring.refuse_overwriting_inputs(cache, inputs)
    with ExitStack() as stack:
        out = stack.enter_context(outputs.open_output(output))
        done = stack.enter_context(answer_scoring.open_cache(run, cache))
        scorer = AnswerScorer(opened, normalization.normalization(), done, window=window, notice=run.terminal.notice)
        asking = _TemplateRuns(run, scorer, form, columns, given)
        tried = [asking.tried(name, filler, dev) for name, filler in fillers.items()]
        best = max(tried, key=lambda one: one.accuracy)
        tried.sort(key=lambda one: -one.accuracy)
        if test is not None:
            tried.append(asking.tried(best.template, fillers[best.template], test))
        labels.warn_unknown_labels(run, len(asking.strangers))
        parts = {"model": opened.signature["model"], "norm": normalization.norm}
        _show(run, out, tried, Sampling(seed, resamples, level), parts, as_json=json)


def _filler(name: str) -> template_options.TemplateFiller:
    """What makes prompts by a template. Raises UsageError, or DataError of its file."""
    if os.path.isfile(name) or name.endswith(template_options.JINJA):
        return template_options.filler_of(f"@{name}")
    return template_options.filler_of(name)


class _TemplateRuns:
    """Evaluates templates on the items of files."""

    def __init__(
        self,
        run: Run,
        scorer: "AnswerScorer",
        form: str,
        columns: str | None,
        given: tuple[str, ...] | None,
    ) -> None:
        self._run, self._scorer, self._form, self._columns, self._given = run, scorer, form, columns, given
        self._labels: tuple[str, ...] = ()
        self.strangers = set[str]()
        """Places of items whose gold label is not among the candidates."""

    def tried(self, name: str, filler: template_options.TemplateFiller, file: str) -> "TemplateOutcome":
        """The outcome of a template. Raises DataError for an item without a gold label."""
        from lmkit.prompting.template_search import TemplateOutcome, answered_right
        from lmkit.prompting.verbalizers import is_unknown_label

        source = items.Items(self._run, self._form, items.columns_of(self._columns, filler.columns))
        made = [found for group in source.groups([file]) for found in filler.of(group)]
        golds = []
        for item, _, more, _ in made:
            if "gold" not in more:
                raise DataError(f"{item.place}: no output", hint="add a field `output` or `label`")
            golds.append(more["gold"])
        if not golds:
            raise DataError(f"{streams.display(file)}: no items")
        self._labels = self._labels or tuple(dict.fromkeys(golds))
        questions = [self._question(*found) for found in made]
        self.strangers |= {
            question.place
            for (question, _), gold in zip(questions, golds, strict=True)
            if is_unknown_label(gold, question.candidates)
        }
        with self._run.terminal.progress(name, len(made), unit="") as progress:
            right = answered_right(self._scorer, questions, golds, lambda _: progress.advance(1))
        return TemplateOutcome(name, right, streams.display(file))

    def _question(
        self, item: items.Item, filled: FilledTemplate, more: Mapping[str, Any], _gone: Sequence[str]
    ) -> "tuple[Question, object]":
        from lmkit.prompting.examples import INPUTS
        from lmkit.prompting.multiple_choice import question_of

        candidates = self._given or tuple(more.get("candidates", ())) or self._labels
        question = question_of(filled.text, candidates, filled.joint, filled.slot, item.place)
        return question, next((item.fields[name] for name in INPUTS if name in item.fields), None)


def _show(
    run: Run,
    out: outputs.Output,
    tried: "Sequence[TemplateOutcome]",
    sampling: "Sampling",
    parts: dict[str, str],
    *,
    as_json: bool,
) -> None:
    signature = metrics.signature("search", sampling, parts)
    rows = [(one, *one.measured(tried[0], sampling)) for one in tried]
    if not as_json:
        shown = [
            dict(zip(COLUMNS, (one.template, *own, *(apart or (None,) * 4), len(one.right), one.on), strict=True))
            for one, own, apart in rows
        ]
        metrics.show(out, shown, signature)
        return
    for one, own, apart in rows:
        record = {
            "template": one.template, "accuracy": own.value, "interval": metrics.ends(own),
            "difference": None if apart is None else apart.value,
            "difference_interval": metrics.ends(apart),
            "p": None if apart is None else apart.p, "n": len(one.right), "on": one.on, "signature": signature,
        }  # fmt: skip
        out.line(to_json(run.signed(record)))
