"""Reports of a training run as it proceeds: progress and notices on stderr, events in a log, the curve for --plot."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from lmkit.commands.options.standard import Run
from lmkit.commands.training_run.event_log import EventLog
from lmkit.io.figures import files
from lmkit.io.figures.training_curve import training_curve

LN2 = math.log(2.0)


class Curve:
    """Losses, rates and evaluations as they come, and the figure of them; nothing without a name."""

    def __init__(self, name: str | None, title: str, bits_per_nat: float | None) -> None:
        self._name, self._title, self._bits_per_nat = name, title, bits_per_nat
        self._steps: list[tuple[int, float, float]] = []
        self._evaluations: list[tuple[int, float]] = []

    def stepped(self, step: int, nats: float, rate: float) -> None:
        """A step was taken."""
        if self._name is not None:
            self._steps.append((step, nats, rate))

    def evaluated(self, step: int, nats: float) -> None:
        """The validation text was scored."""
        if self._name is not None:
            self._evaluations.append((step, nats))

    def take_up(self, log: Iterable[str]) -> None:
        """What the log of an earlier part of the run tells; lines that are no events are passed over."""
        for line in log:
            try:
                event = json.loads(line)
                step, nats = int(event["step"]), float(event["nats"])
                if event["event"] == "step":
                    self.stepped(step, nats, float(event["lr"]))
                elif event["event"] == "evaluation":
                    self.evaluated(step, nats)
            except (ValueError, KeyError, TypeError):
                continue

    def draw(self) -> None:
        """Writes the figure. Raises OutputError."""
        if self._name is None or not self._steps:
            return
        steps, nats, rates = (list(values) for values in zip(*self._steps, strict=True))
        figure = training_curve(
            self._title, (steps, nats), _columns(self._evaluations), (steps, rates), self._bits_per_nat
        )
        files.write(self._name, figure)


def _columns(pairs: list[tuple[int, float]]) -> tuple[list[Any], list[Any]]:
    return [x for x, _ in pairs], [y for _, y in pairs]


class TrainingReporter:
    """Tells people and the log what happens; `texts` and `settings` say what numbers mean."""

    def __init__(
        self, run: Run, plan: Any, texts: Any, settings: Any, log: str | None, plot: str | None, *,
        speaks: bool,
    ) -> None:  # fmt: skip
        self.log = EventLog(log)
        title = f"{settings.kind}, {settings.parameters:,} parameters, {texts.tokenizer.size:,} tokens"
        self.curve = Curve(plot, title, self.bits_per_nat(texts.training))
        self.evaluation: Any = None
        self._run, self._plan, self._texts, self._settings, self._speaks = run, plan, texts, settings, speaks
        amount = plan.steps if plan.steps is not None else math.ceil(plan.seconds)
        self._progress = run.terminal.progress("training", amount, "")
        self._before: float | None = None

    # What the numbers of an objective mean.

    def bits_per_nat(self, corpus: Any) -> float | None:
        """Bits a byte of a text for a nat a token; None where these say nothing of bytes."""
        return float(1 / (LN2 * corpus.bytes_per_token))

    def measures(self, numbers: Mapping[str, float], corpus: Any) -> dict[str, float]:
        """What the log has of a text's numbers, `nats` first."""
        nats = numbers["nats"]
        more = {"accuracy": numbers["accuracy"]} if "accuracy" in numbers else {}
        return {"nats": nats, "bits_per_byte": nats / LN2 / corpus.bytes_per_token, **more}

    def figures(self, measures: Mapping[str, float], digits: int) -> list[str]:
        """The same for people, the most important first."""
        return [f"{measures['nats']:.{digits}f} nats", f"{measures['bits_per_byte']:.{digits}f} bits a byte"]

    def conclusion(self, measures: Mapping[str, float]) -> str:
        """How the weights that are kept did on the validation text."""
        how = "state carried along" if self._texts.form.by in ("stream", "file") else "each from its beginning"
        if self._settings.sequence_limit is not None:
            how = f"windows of {self._settings.sequence_limit}, each on its own"
        elif self._settings.context is not None:
            how = f"contexts of {self._settings.context}"
        return f"{measures['nats']:.4f} nats a token, {measures['bits_per_byte']:.4f} bits a byte ({how})"

    # What happens.

    def notice(self, text: str) -> None:
        """One line for people, from one process of several."""
        if self._speaks:
            self._run.terminal.notice(text)

    def begins(self, tokens_a_step: int) -> None:
        """The size of what is about to happen."""
        plan, corpus = self._plan, self._texts.training
        length = f"{plan.steps} steps" if plan.steps is not None else f"{plan.seconds:g} s"
        self.notice(
            f"{self._settings.kind}: {self._settings.parameters:,} parameters, "
            f"a vocabulary of {self._texts.tokenizer.size:,}; "
            f"{length} of {tokens_a_step:,} tokens from {corpus.tokens:,}"
        )

    def evaluated(self, event: Any, *, last: bool) -> None:
        """The validation text was scored."""
        self.evaluation = event
        measures = self.measures(event.numbers, self._texts.validation)
        self.log.write(event, "evaluation", **measures)
        self.curve.evaluated(event.step, measures["nats"])
        if last:
            return
        if self._progress.is_picture:
            self._progress.keep(f"validation {measures['nats']:.3f}")
        else:
            self.notice(f"step {event.step}: validation {', '.join(self.figures(measures, 4))}")

    def stepped(self, event: Any) -> None:
        """A step was taken."""
        measures = self.measures(event.numbers, self._texts.training)
        clipped = min(event.norm, self._plan.clip or math.inf)
        self.log.write(event, "step", **measures, lr=event.rate, gradient_norm=clipped, gradient_norm_before=event.norm)
        self.curve.stepped(event.step, measures["nats"], event.rate)
        if self._speaks:
            rate = event.tokens / event.seconds
            first, *more = self.figures(measures, 3)
            self._advance(event, first, f"{rate:,.0f} tokens/s", *more)

    def _advance(self, event: Any, *figures: str) -> None:
        """Shows the progress after a step. The first one's time says little of the others, nor do resumed ones'."""
        before, self._before = self._before, event.seconds
        if before is None:
            self._progress.begin(event.step if self._plan.steps is not None else event.seconds)
        else:
            self._progress.advance(1 if self._plan.steps is not None else event.seconds - before, *figures)

    def ended(self, trainer: Any, metrics: dict[str, float]) -> None:
        """What the run took and what came of it."""
        self._run.terminal.clear()
        rate = trainer.tokens / trainer.seconds if trainer.seconds else 0.0
        text = f"{trainer.step} steps, {trainer.tokens:,} tokens in {trainer.seconds:.1f} s ({rate:,.0f} a second)"
        if metrics:
            text += f"; validation {self.conclusion(self.measures(metrics, self._texts.validation))}"
        self.notice(text)
