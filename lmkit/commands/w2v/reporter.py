"""Reports of a training run of word vectors: progress and notices on stderr, events in a log."""

from typing import Any

from lmkit.commands.options.standard import Run
from lmkit.commands.training_run.event_log import EventLog
from lmkit.io import installation
from lmkit.io.progress import duration

MEASURED = 5.0  # seconds after which it is known how long all will take
LONG = 600.0  # seconds from which on it is said
LARGE = 10_000  # words of a vocabulary that a full softmax takes long for


class TrainingReporter:
    """Tells people and the log what happens."""

    def __init__(self, run: Run, plan: Any, size: int, words: int, log: str | None) -> None:
        self.log = EventLog(log)
        self._run, self._plan, self._size = run, plan, size
        self._words = 0
        self._progress = run.terminal.progress("training", words * plan.epochs, "")
        self._first: Any = None
        """The first round's point: time before it was compilation and the like, which says nothing of the rest."""
        self._estimated = False

    def begins(self, words: int) -> None:
        """What is about to happen, after so many words."""
        from lmkit.word_vectors.trainer import compiled

        self._words = words
        plan, notice = self._plan, self._run.terminal.notice
        if plan.loss == "softmax":
            if self._size > LARGE:
                notice(
                    f"full softmax computes all {self._size - 3:,} words for every pair; "
                    "--loss negative-sampling is faster"
                )
        elif not compiled(plan):
            notice(f"without numba training is slower: {installation.adding('numba')}")

    def compiling(self) -> None:
        """Code is being compiled."""
        self._run.terminal.notice("compiling, once on this machine")

    def compiled(self, seconds: float, point: Any) -> None:
        """It is compiled."""
        self._run.terminal.notice(f"compiled in {seconds:.1f} s")
        self.log.write(point, "compiled", compilation=round(seconds, 6))

    def progressed(self, event: Any, point: Any) -> None:
        """A round is done."""
        self.log.write(point, "step", nats=event.nats, lr=event.lr)
        done, self._words = event.words - self._words, event.words
        if self._first is None:
            self._first = point
            self._progress.begin(event.words)
            return
        since = point.seconds - self._first.seconds
        rate = (point.tokens - self._first.tokens) / since if since else 0.0
        self._progress.advance(done, f"{event.nats:.3f} nats", f"{rate:,.0f} words/s", f"lr {event.lr:.5f}")
        if not self._estimated and since > MEASURED:
            self._estimated = True
            left = (event.total - event.words) / rate if rate else 0.0
            if left > LONG and not self._progress.is_picture:
                self._run.terminal.notice(f"{rate:,.0f} words per second, about {duration(left)} left")

    def ended(self, point: Any, nats: float) -> None:
        """What it took and what came of it."""
        self._run.terminal.clear()
        rate = point.tokens / point.seconds if point.seconds else 0.0
        of = "pair" if self._plan.architecture == "skipgram" else "word"
        epochs = f"{self._plan.epochs} epoch{'s' if self._plan.epochs > 1 else ''}"
        loss = f"; {nats:.4f} nats a {of}" if nats else ""  # little texts are not measured
        self._run.terminal.notice(
            f"{epochs}, {point.tokens:,} words in {point.seconds:.1f} s ({rate:,.0f} per second){loss}"
        )
