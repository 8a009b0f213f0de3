"""One training of word vectors from options to checkpoint: watched, saved, and stopped when asked."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.commands.options.word2vec import AUTO, Word2VecOptions
from lmkit.commands.training_run.event_log import EventLog
from lmkit.commands.training_run.session import Point, Resumable, Session, state_file
from lmkit.commands.training_run.state_file import StateFile
from lmkit.commands.w2v.reporter import TrainingReporter
from lmkit.commands.w2v.texts import Texts, read_texts
from lmkit.errors import UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table

MANY_WORDS = 1_000_000  # from here on fewer negatives do
FEW, SOME = 5, 15


def run_training(run: Run, files: Sequence[str], options: Word2VecOptions) -> None:
    """Reads texts, trains, writes a checkpoint."""
    outputs.expect_output(options.output, binary=True)
    if options.log is not None and options.log == options.output:
        raise UsageError("-o and --log name the same file")
    state = state_file(run, options)
    start = opening.open_kind(options.embeddings, "w2v") if options.embeddings is not None else None
    if start is not None and (found := start.centre.shape[1]) != options.dim:
        shown = streams.display(str(options.embeddings))
        raise UsageError(f"{shown}: vectors of dimension {found}, expected --dim {options.dim}")
    VectorSession(run, options, read_texts(run, files, options), start, state).go()


def plan_of(run: Run, options: Word2VecOptions, words: int) -> Any:
    """The settings of a training on a text of so many words."""
    from lmkit.word_vectors.training_plan import TrainingConfig

    if options.negatives != AUTO:
        return TrainingConfig(negatives=int(options.negatives), **options.config())
    negatives = FEW if words >= MANY_WORDS else SOME
    if options.loss == "negative-sampling":
        than = "no less" if words >= MANY_WORDS else "less"
        run.terminal.notice(f"{negatives} negative samples per pair: the text has {than} than {MANY_WORDS:,} words")
    return TrainingConfig(negatives=negatives, **options.config())


class VectorSession(Session):
    """A training run of word vectors: its texts, its progress and its reports."""

    product = "vectors"
    advice = "a lower --lr"
    keeps_diverged = False

    def __init__(self, run: Run, options: Word2VecOptions, texts: Texts, start: Any, state: StateFile) -> None:
        from lmkit.word_vectors.training_plan import initial

        super().__init__(run, options, state)
        self._options, self._texts, self._start = options, texts, start
        self._plan = plan_of(run, options, texts.corpus.words)
        self._state = initial(len(texts.vocabulary), self._plan, texts.corpus.rows)
        self._vectors: Any = None
        self._words, self._nats, self._seconds = 0, 0.0, 0.0
        self._teller = TrainingReporter(run, self._plan, len(texts.vocabulary), texts.corpus.words, options.log)
        if start is not None:
            self._take_up_vectors()

    def _take_up_vectors(self) -> None:
        """Begins with vectors that are there; says for how many words."""
        from lmkit.word_vectors.corpus import begin_with

        shared = begin_with(self._state, self._texts.vocabulary, self._start, self._texts.composition)
        name, size = streams.display(str(self._options.embeddings)), len(self._texts.vocabulary) - 3
        self.run.terminal.notice(f"{shared:,} of {size:,} words start from the vectors of {name}")

    @property
    def log(self) -> EventLog:
        """See `Session.log`."""
        return self._teller.log

    @property
    def point(self) -> Point:
        """See `Session.point`: steps are rounds, tokens are words."""
        return Point(self._state.rounds, self._words, self._seconds)

    @property
    def resumable(self) -> Resumable:
        """See `Session.resumable`."""
        return self

    def place(self, *, resumed: bool) -> str:
        """See `Session.place`."""
        return f"after {self._words:,} words"

    def begin(self) -> None:
        """See `Session.begin`."""
        self._teller.begins(self._words)

    def take_up(self, log: Sequence[str]) -> None:
        """See `Session.take_up`; there is no curve."""

    def train(self) -> Iterator[None]:
        """See `Session.train`."""
        from lmkit.word_vectors.trainer import train
        from lmkit.word_vectors.training_plan import Compiled, Compiling, Progress

        threads, hogwild = opening.core_count(self._options.threads), self._options.hogwild
        events = train(self._texts.corpus, self._plan, self._state, threads=threads, hogwild=hogwild)
        before, begun = self._seconds, time.monotonic()
        for event in events:
            if isinstance(event, Compiling):
                self._teller.compiling()
            elif isinstance(event, Compiled):
                begun = time.monotonic()
                self._teller.compiled(event.seconds, self.point)
            elif isinstance(event, Progress):
                self._state, self._words, self._nats = event.state, event.words, event.nats
                self._seconds = before + time.monotonic() - begun
                self._teller.progressed(event, self.point)
                if event.words < event.total:
                    yield
            else:
                self._vectors = event

    def draw(self) -> None:
        """See `Session.draw`; there is no curve."""

    def model(self) -> Any:
        """See `Session.model`."""
        from lmkit.word_vectors.vector_space import VectorSpace

        options, corpus, vectors = self._options, self._texts.corpus, self._vectors
        learned = {key: value for key, value in asdict(self._plan).items() if key not in ("chunk", "workers")}
        config = {**learned, "min_count": options.min_count, "phrases": options.phrases}
        centre, made = vectors.centre, self._texts.composition
        ngrams = None
        if made is not None:
            centre, ngrams = made.words(vectors.centre), made.ngrams(vectors.centre)
        return VectorSpace(
            self._texts.vocabulary, centre, vectors.context, corpus.counts, config, ngrams=ngrams,
            normalization=options.normalization,
        )  # fmt: skip

    def end(self) -> None:
        """See `Session.end`."""
        self._teller.ended(self.point, self._nats)

    # As what a state is of.

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `Resumable.state`."""
        numbers = {"rounds": self._state.rounds, "words": self._words, "nats": self._nats, "seconds": self._seconds}
        return numbers, self._state.vectors._asdict()

    def resume(self, numbers: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """See `Resumable.resume`. Raises ValueError for other vectors."""
        from lmkit.word_vectors.training_plan import State, Vectors

        vectors = Vectors(arrays["centre"], arrays["context"])
        if any(new.shape != old.shape for new, old in zip(vectors, self._state.vectors, strict=True)):
            raise ValueError("vectors of another shape")
        self._state = State(vectors, int(numbers["rounds"]))
        self._words, self._nats = int(numbers["words"]), float(numbers["nats"])
        self._seconds = float(numbers["seconds"])

    # What is recorded of it.

    def inputs(self) -> Sequence[dict[str, Any]]:
        """See `Session.inputs`."""
        return [self._texts.record]

    def recorded(self) -> dict[str, Any]:
        """See `Session.recorded`; options of subwords only where there are any."""
        without = () if self._texts.composition is not None else ("subwords", "buckets")
        return {key: value for key, value in super().recorded().items() if key not in without}

    def conditions(self) -> dict[str, Any]:
        """See `Session.conditions`."""
        begun = self._start.digest if self._start is not None else None
        return {"texts": self._texts.record, "begun with": begun, **self._code()}

    def outcome(self) -> dict[str, Any]:
        """See `Session.outcome`."""
        begun = {"embeddings": self._start.digest} if self._start is not None else {}
        trained = {"words": self._words, "rounds": self._state.rounds, "nats": self._nats}
        return {"versions": self._code(), **begun, "trained": trained}

    def _code(self) -> dict[str, str]:
        """The version of what compiled the training; another one may round otherwise."""
        from importlib.metadata import version

        from lmkit.word_vectors.trainer import compiled

        return {"numba": version("numba")} if compiled(self._plan) else {}


def print_updates(run: Run, files: Sequence[str], options: Word2VecOptions) -> None:
    """How many vectors one step changes."""
    from lmkit.word_vectors.update_counts import count_updates

    texts = read_texts(run, files, options)
    centre, context = count_updates(texts.corpus, plan_of(run, options, texts.corpus.words))
    with outputs.open_output(options.output) as out:
        table = Table(out, ("vectors", "changed"), as_json=False)
        for name, changed in (("centre", centre), ("context", context), ("both", centre + context)):
            table.row({"vectors": name, "changed": changed})
