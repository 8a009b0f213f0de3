"""One training of word vectors from options to checkpoint: watched, saved, and stopped when asked."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from lmkit.commands import models as opening
from lmkit.commands.options import Run
from lmkit.commands.provenance import checkpoint_bytes, origin
from lmkit.commands.resuming import StateFile
from lmkit.commands.stopping import asked_to_stop
from lmkit.commands.w2v.telling import Teller
from lmkit.commands.w2v.texts import Reading, Texts, read_texts
from lmkit.edge import streams
from lmkit.edge.records import Table
from lmkit.errors import Diverged, OutputError, Status, Stopped, UsageError

UNRECORDED = (
    "count_updates", "embeddings", "encoding_errors", "files", "log", "memory", "output", "resume", "save_every",
    "temp_dir", "threads",
)  # fmt: skip
"""Settings that say nothing of what is learned, or that name files."""
MAY_CHANGE = ("lr", "min_lr")
MANY_WORDS = 1_000_000  # from here on fewer negatives do
FEW, SOME = 5, 15


@dataclass(frozen=True)
class Running:
    """How to train: fields of a Plan but for the negatives, None: by the text; where to begin, what to write."""

    negatives: int | None
    settings: Mapping[str, Any]
    embeddings: str | None
    hogwild: bool
    log: str | None
    resume: bool
    save_every: float
    output: str | None


class Point(NamedTuple):
    """Where training stands, as the log has it: `step` is a round, `tokens` are words."""

    step: int
    tokens: int
    seconds: float


def run_training(run: Run, reading: Reading, running: Running) -> None:
    """Reads texts, trains, writes a checkpoint."""
    _spare_files(reading, running)
    state = StateFile(running.output, MAY_CHANGE)
    if not running.resume:
        state.expect_none()
    start = opening.open_kind(running.embeddings, "w2v") if running.embeddings is not None else None
    if start is not None and (found := start.centre.shape[1]) != (wanted := running.settings["dim"]):
        raise UsageError(
            f"{streams.display(str(running.embeddings))}: vectors of {found} numbers, not of --dim {wanted}"
        )
    texts = read_texts(run, reading)
    _Session(run, reading, running, texts, start, state).go()


def _spare_files(reading: Reading, running: Running) -> None:
    """Raises what would be wrong with the outputs in the end, before anything is read."""
    streams.expect_output(running.output, binary=True)
    if running.log is not None and running.log == running.output:
        raise UsageError("-o and --log name one file for two things")
    for name in (running.output, running.log):
        streams.spare_inputs(name, [*reading.files, running.embeddings])


def plan_of(run: Run, running: Running, words: int) -> Any:
    """The settings of a training on a text of so many words."""
    from lmkit.embedding.plan import Plan

    negatives = running.negatives
    if negatives is None:
        negatives = FEW if words >= MANY_WORDS else SOME
        if running.settings["loss"] == "negative-sampling":
            than = "no less" if words >= MANY_WORDS else "less"
            run.terminal.notice(f"{negatives} negatives: the text has {than} than {MANY_WORDS:,} words")
    return Plan(negatives=negatives, **running.settings)


class _Session:
    """A run: where it stands, its files, and what is told of it."""

    def __init__(
        self, run: Run, reading: Reading, running: Running, texts: Texts, start: Any, state: StateFile
    ) -> None:
        from lmkit.embedding.plan import initial

        self._run, self._reading, self._running, self._texts, self._file = run, reading, running, texts, state
        self._start = start
        self._plan = plan_of(run, running, texts.corpus.words)
        self._state = initial(len(texts.vocabulary), self._plan, texts.corpus.rows)
        self._words, self._nats, self._seconds = 0, 0.0, 0.0
        self._teller = Teller(run, self._plan, len(texts.vocabulary), texts.corpus.words, running.log)
        self._saved = time.monotonic()

    def go(self) -> None:
        """Trains to the end, or to where it is stopped."""
        if self._start is not None:
            self._take_up_vectors()
        if self._running.resume:
            self._run.terminal.notice(self._resumed())
        self._teller.begins(self._words)
        with self._teller.log.opened(self._state.rounds, self._state.rounds), asked_to_stop(alone=True) as asked:
            try:
                vectors = self._train(asked)
            except Diverged as error:
                kept = f"; the state is in {self._file.name}" if self._file.exists else ""
                raise Diverged(f"{error}{kept}", hint="a lower --lr") from None
            if vectors is None:
                raise Stopped(asked[0])
        self._write(vectors)

    def _take_up_vectors(self) -> None:
        """Begins with vectors that are there; says for how many words."""
        from lmkit.embedding.corpus import begin_with

        shared = begin_with(self._state, self._texts.vocabulary, self._start, self._texts.composition)
        name, size = streams.display(str(self._running.embeddings)), len(self._texts.vocabulary) - 3
        self._run.terminal.notice(f"{shared:,} of {size:,} words begin with the vectors of {name}")

    def _train(self, asked: list[Status]) -> Any:
        """Follows the events to the vectors at the end; None where somebody asked to stop before."""
        from lmkit.embedding.plan import Compiled, Compiling, Progress
        from lmkit.embedding.training import train

        events = train(
            self._texts.corpus, self._plan, self._state, threads=self._reading.threads, hogwild=self._running.hogwild
        )
        before, begun = self._seconds, time.monotonic()
        for event in events:
            if isinstance(event, Compiling):
                self._teller.compiling()
            elif isinstance(event, Compiled):
                begun = time.monotonic()
                self._teller.compiled(event.seconds, Point(self._state.rounds, self._words, before))
            elif isinstance(event, Progress):
                self._state, self._words, self._nats = event.state, event.words, event.nats
                self._seconds = before + time.monotonic() - begun
                self._teller.progressed(event, self._point())
                if event.words < event.total and not self._may_go_on(asked):
                    return None
            else:
                return event
        raise AssertionError("training ends with vectors")

    def _point(self) -> Point:
        return Point(self._state.rounds, self._words, self._seconds)

    def _may_go_on(self, asked: list[Status]) -> bool:
        """Saves what is due; False where somebody asked to stop."""
        if asked or time.monotonic() - self._saved >= self._running.save_every:
            self._save()
        if asked:
            kept = f"; the state is in {self._file.name}; --resume goes on from there" if self._file.exists else ""
            self._run.terminal.notice(f"stopped after {self._words:,} words{kept}")
        return not asked

    def _save(self) -> None:
        """Keeps the state; a failure is told, and the state before it stays."""
        self._saved = time.monotonic()
        try:
            if self._file.save(self, self._fingerprint(), writes=True):
                self._teller.log.write(self._point(), "saved")
        except OutputError as error:
            before = "; the state before is still there" if self._file.exists else ""
            self._run.terminal.notice(f"{error}; not saved{before}")

    def _write(self, vectors: Any) -> None:
        """Writes the vectors, then drops what was kept to go on."""
        from lmkit.embedding.space import VectorSpace

        self._teller.ended(self._point(), self._nats)
        reading, corpus = self._reading, self._texts.corpus
        learned = {key: value for key, value in asdict(self._plan).items() if key not in ("chunk", "workers")}
        config = {**learned, "min_count": reading.min_count, "phrases": reading.phrases}
        centre, made = vectors.centre, self._texts.composition
        ngrams = None
        if made is not None:
            centre, ngrams = made.words(vectors.centre), made.ngrams(vectors.centre)
        space = VectorSpace(self._texts.vocabulary, centre, vectors.context, corpus.counts, config, ngrams=ngrams)
        try:
            with streams.open_output(self._running.output, binary=True) as out:
                for piece in checkpoint_bytes(space, self._origin()):
                    out.write(piece)
        except OutputError as error:
            if self._file.name is None:
                raise
            self._save()
            if not self._file.exists:
                raise
            raise OutputError(
                f"{error}; the state is in {self._file.name}", hint="make room, then --resume writes the vectors"
            ) from None
        self._file.remove()

    # As what a state is of.

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is needed to go on: numbers, and arrays."""
        numbers = {"rounds": self._state.rounds, "words": self._words, "nats": self._nats, "seconds": self._seconds}
        return numbers, self._state.vectors._asdict()

    def resume(self, numbers: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Takes these up. Raises ValueError where they are of other vectors."""
        from lmkit.embedding.plan import State, Vectors

        vectors = Vectors(arrays["centre"], arrays["context"])
        if any(new.shape != old.shape for new, old in zip(vectors, self._state.vectors, strict=True)):
            raise ValueError("vectors of another shape")
        self._state = State(vectors, int(numbers["rounds"]))
        self._words, self._nats = int(numbers["words"]), float(numbers["nats"])
        self._seconds = float(numbers["seconds"])

    def _resumed(self) -> str:
        """Takes up the state on disk; gives what is to be told of it."""
        changed = self._file.load(self, self._fingerprint())
        if changed is None:
            return f"{self._file.name} is not there: training begins"
        return f"going on after {self._words:,} words" + (f" with other {', '.join(changed)}" if changed else "")

    # What is recorded of it.

    def _recorded(self) -> dict[str, Any]:
        without = UNRECORDED if self._texts.composition is not None else (*UNRECORDED, "subwords", "buckets")
        return {key: value for key, value in self._run.settings.items() if key not in without}

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to go on as if it had never stopped."""
        begun = self._start.digest if self._start is not None else None
        return {**self._recorded(), "texts": self._texts.record, "begun with": begun, **self._code()}

    def _origin(self) -> dict[str, Any]:
        record = origin(self._run.command, self._recorded(), [self._texts.record])
        record["versions"] |= self._code()
        if self._start is not None:
            record["embeddings"] = self._start.digest
        return {**record, "trained": {"words": self._words, "rounds": self._state.rounds, "nats": self._nats}}

    def _code(self) -> dict[str, str]:
        """The version of what compiled the training; another one may round otherwise."""
        from importlib.metadata import version

        from lmkit.embedding.training import compiled

        return {"numba": version("numba")} if compiled(self._plan) else {}


def print_updates(run: Run, reading: Reading, running: Running) -> None:
    """How many vectors one step changes."""
    from lmkit.embedding.updates import count_updates

    texts = read_texts(run, reading)
    centre, context = count_updates(texts.corpus, plan_of(run, running, texts.corpus.words))
    with streams.open_output(running.output) as out:
        table = Table(out, ("vectors", "changed"), as_json=False)
        for name, changed in (("centre", centre), ("context", context), ("both", centre + context)):
            table.row({"vectors": name, "changed": changed})
