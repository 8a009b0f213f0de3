"""What is told of a training run while it goes on: progress and notices on stderr, events in a log."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from lmkit.commands.options import Run
from lmkit.commands.train.curve import Curve
from lmkit.edge import streams
from lmkit.edge.records import to_json
from lmkit.errors import OutputError

LN2 = math.log(2.0)


class EventLog:
    """Events as JSON Lines in a file that grows as they come; nothing without a name."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._file: TextIO | None = None

    @contextmanager
    def opened(self, step: int, evaluated: int) -> Iterator[list[str]]:
        """Opens the file; gives what it keeps of an earlier run: up to `step` and the evaluation at `evaluated`.

        Raises OutputError.
        """
        if self._name is None:
            yield []
            return
        kept = []
        if step and os.path.exists(self._name):
            kept = [line for line in self._lines() if _is_of(line, step, evaluated)]
        try:
            self._file = open(self._name, "w", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"{self._name}: {streams.reason(error)}") from None
        with self._file:
            self._file.writelines(kept)
            yield kept

    def _lines(self) -> list[str]:
        """Lines of an earlier run. Raises OutputError where the file can't be read."""
        assert self._name is not None
        try:
            with open(self._name, encoding="utf-8", errors="replace") as lines:
                return list(lines)
        except OSError as error:
            raise OutputError(f"{self._name}: {streams.reason(error)}") from None

    def write(self, event: Any, name: str, **values: float) -> None:
        """One event: its name, where training stood, and its numbers."""
        if self._file is None:
            return
        record = {"event": name, "step": event.step, "tokens": event.tokens, "seconds": round(event.seconds, 6)}
        try:
            self._file.write(to_json({**record, **values}) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self._name}: {streams.reason(error)}") from None


def _is_of(line: str, step: int, evaluated: int) -> bool:
    """Whether a line is a whole event that is not told again; a run that was killed may have left half of one."""
    try:
        event = json.loads(line)
        last = evaluated if event["event"] == "evaluation" else step
        return line.endswith("\n") and int(event["step"]) <= last
    except (ValueError, KeyError, TypeError):
        return False


class Teller:
    """Tells people and the log what happens; `texts` and `settings` say what numbers mean."""

    def __init__(
        self, run: Run, plan: Any, texts: Any, settings: Any, log: str | None, plot: str | None, *,
        speaks: bool,
    ) -> None:  # fmt: skip
        self.log = EventLog(log)
        title = f"{settings.kind}, {settings.parameters:,} parameters, {texts.tokenizer.size:,} tokens"
        self.curve = Curve(plot, title, 1 / (LN2 * texts.training.bytes_per_token))
        self.evaluation: Any = None
        self._run, self._plan, self._texts, self._settings, self._speaks = run, plan, texts, settings, speaks
        amount = plan.steps if plan.steps is not None else math.ceil(plan.seconds)
        self._progress = run.terminal.progress("training", amount, "")
        self._before = 0.0

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
        per_byte = event.nats / LN2 / self._texts.validation.bytes_per_token
        self.log.write(event, "evaluation", nats=event.nats, bits_per_byte=per_byte, accuracy=event.accuracy)
        self.curve.evaluated(event.step, event.nats)
        if not last:
            self.notice(f"step {event.step}: validation {event.nats:.4f} nats, {per_byte:.4f} bits a byte")

    def stepped(self, event: Any) -> None:
        """A step was taken."""
        per_byte = event.nats / LN2 / self._texts.training.bytes_per_token
        clipped = min(event.norm, self._plan.clip or math.inf)
        self.log.write(
            event, "step", nats=event.nats, bits_per_byte=per_byte, lr=event.rate, gradient_norm=clipped,
            gradient_norm_before=event.norm,
        )  # fmt: skip
        self.curve.stepped(event.step, event.nats, event.rate)
        if self._speaks:
            spent = 1 if self._plan.steps is not None else event.seconds - self._before
            rate = event.tokens / event.seconds
            self._progress.advance(spent, f"{event.nats:.3f} nats  {per_byte:.3f} bits a byte  {rate:,.0f} tokens/s")
        self._before = event.seconds

    def saved(self, trainer: Any) -> None:
        """The state is on disk."""
        self.log.write(trainer, "saved")

    def ended(self, trainer: Any, metrics: dict[str, float]) -> None:
        """What the run took and what came of it."""
        self._run.terminal.clear()
        rate = trainer.tokens / trainer.seconds if trainer.seconds else 0.0
        text = f"{trainer.step} steps, {trainer.tokens:,} tokens in {trainer.seconds:.1f} s ({rate:,.0f} a second)"
        if metrics:
            per_byte = metrics["nats"] / LN2 / self._texts.validation.bytes_per_token
            how = "state carried along" if self._texts.form.by in ("stream", "file") else "each from its beginning"
            if self._settings.kind != "rnn":
                how = f"contexts of {self._settings.context}"
            if self._settings.kind == "transformer":
                how = f"windows of {self._settings.context}, each on its own"
            text += f"; validation {metrics['nats']:.4f} nats a token, {per_byte:.4f} bits a byte ({how})"
        self.notice(text)
