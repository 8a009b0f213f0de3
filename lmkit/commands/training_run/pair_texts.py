"""Pairs as a training run has them: read, with tokenizers learned from them or given, and encoded."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import file_record
from lmkit.commands.options.pairs import KINDS, PairOptions
from lmkit.commands.options.standard import Run
from lmkit.commands.records.corpora import CorpusInput, Pair, number_of, read_pairs
from lmkit.commands.records.parallel import read_parallel
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import streams

if TYPE_CHECKING:
    from lmkit.data.sequences import TextFormat
    from lmkit.data.source_format import SourceFormat
    from lmkit.protocols import I32
    from lmkit.training.pair_batches import PairCollection, Pairs

BLOCK = 1 << 14  # lines that are encoded together


class PairTexts(NamedTuple):
    """Tokenizers and forms of both sides, the pairs to train on and to validate on, and the record of the inputs.

    `references` has source and target of each validation pair, `bounds` where the pairs of each file end.
    """

    tokenizer: Any
    source_tokenizer: Any
    form: "TextFormat"
    source_form: "SourceFormat"
    training: "PairCollection"
    validation: "Pairs | None"
    references: list[tuple[str, str]]
    record: list[dict[str, Any]]
    bounds: Sequence[int] = ()


@dataclass
class PairLines:
    """The pairs of one set: sources and targets, and the record of where they came from."""

    sources: list[bytes]
    targets: list[bytes]
    record: dict[str, Any]

    def split(self, fraction: float) -> tuple["PairLines", "PairLines"]:
        """All but the last pairs, and these. Raises DataError where there are too few."""
        border = round((1 - fraction) * len(self.sources))
        if not 0 < border < len(self.sources):
            raise DataError("too few pairs to hold some of them out", hint="--valid FILE")
        return (
            PairLines(self.sources[:border], self.targets[:border], self.record),
            PairLines(self.sources[border:], self.targets[border:], {}),
        )


def read(
    run: Run, files: Sequence[str], options: PairOptions, *, valid: str | None, valid_fraction: float,
    encoding_errors: str,
) -> PairTexts:  # fmt: skip
    """Read and encode everything. Raises DataError where there are no pairs."""
    from lmkit.data.sequences import TextFormat
    from lmkit.data.source_format import SourceFormat

    reader = PairReader(run, options, encoding_errors)
    found, held_out = reader.training(files), reader.validation(valid)
    if not found.sources:
        raise DataError("no pairs to train on: the input is empty, or each pair has an empty side")
    records = [found.record, *([] if held_out is None else [held_out.record])]
    if held_out is None and valid_fraction:
        found, held_out = found.split(valid_fraction)
    source, target = _tokenizers(run, options, found)
    forms = TextFormat.of("line", target), SourceFormat.of(source)
    encode = PairEncoder(run, source, target, *forms, options.max_length, options.longer)
    training = encode(found, "training")[0]
    if not len(training):
        raise DataError(f"all pairs are longer than {options.max_length} tokens", hint=options.longer)
    validation, references = encode.held_out(held_out)
    return PairTexts(target, source, *forms, training, validation, references, records)


@dataclass(frozen=True)
class PairReader:
    """Reads pairs from the files that the options name."""

    run: Run
    options: PairOptions
    encoding_errors: str

    def training(self, files: Sequence[str]) -> PairLines:
        """The pairs of files, or of --source and --target."""
        return self._pairs(files, self.options.source, self.options.target)

    def validation(self, valid: str | None) -> PairLines | None:
        """The pairs to validate on, if files are named. Raises DataError where these are empty."""
        options = self.options
        if valid is None and options.valid_source is None:
            return None
        found = self._pairs([valid] if valid is not None else [], options.valid_source, options.valid_target)
        if not found.sources:
            raise DataError(f"{streams.display(valid or options.valid_source or '')}: no pairs to validate on")
        return found

    def _pairs(self, files: Sequence[str], source: str | None, target: str | None) -> PairLines:
        if source is not None and target is not None:
            return _kept(self.run, read_parallel(self.run, source, target, self.encoding_errors), [source, target])
        options = self.options
        stored = CorpusInput(input_form=options.form, on_error=options.on_error, encoding_errors=self.encoding_errors)
        return _kept(self.run, (pair for group in read_pairs(self.run, stored, files) for pair in group), files)


def _kept(run: Run, pairs: Iterable[Pair], files: Sequence[str]) -> PairLines:
    """Pairs with two sides; those with an empty one are left out, and it is said how many."""
    sources, targets = list[bytes](), list[bytes]()
    empty, first = 0, ""
    digest, size = sha256(), 0
    for pair in pairs:
        source, target = pair.source.strip(), pair.target.strip()
        if not source or not target:
            empty, first = empty + 1, first or pair.place
            continue
        if "\n" in source or "\n" in target:
            raise DataError(f"{pair.place}: a side of several lines, expected one line", hint="replace its line ends")
        sources.append(source.encode())
        targets.append(target.encode())
        line = b"%b\t%b\n" % (sources[-1], targets[-1])
        digest.update(line)
        size += len(line)
    if empty:
        run.terminal.notice(f"{number_of(empty, 'pair')} with an empty side left out, the first one at {first}")
    record: dict[str, Any] = {"bytes": size, "sha256": digest.hexdigest(), "pairs": len(sources)}
    stored = [file_record(name) for name in files]
    return PairLines(sources, targets, {**record, "files": stored} if any(stored) else record)


def _tokenizers(run: Run, options: PairOptions, found: PairLines) -> tuple[Any, Any]:
    """The tokenizers of sources and targets, learned or given."""
    if options.shared or (options.target_tokens is None and options.tokens not in KINDS):
        both = _tokenizer(run, options.tokens, options.vocab_size, [*found.sources, *found.targets])
        return both, both
    source = _tokenizer(run, options.tokens, options.vocab_size, found.sources)
    return source, _tokenizer(run, options.target_tokens or options.tokens, options.vocab_size, found.targets)


def _tokenizer(run: Run, kind: str, size: int, lines: Sequence[bytes]) -> Any:
    """A tokenizer learned from lines, or the one in a file. Raises CheckpointError where it lacks `<s>` or `</s>`."""
    if kind not in KINDS:
        return given_tokenizer(kind)
    if kind == "bpe":
        return learned_merges(run, size, lines)
    from lmkit.tokenization import tokenizers

    learner = tokenizers.learner(kind)
    counts: Any = None
    for block in _blocks(lines):
        import numpy as np

        ids, _ = learner.learn(block, learner.scan(block))
        some = np.bincount(ids)
        if counts is not None and len(counts) > len(some):
            some = np.pad(some, (0, len(counts) - len(some)))
        counts = some + (0 if counts is None else np.pad(counts, (0, len(some) - len(counts))))
    tokenizer = learner.tokenizer()
    counts = np.pad(counts, (0, tokenizer.size - len(counts)))
    limited = tokenizer.limited(counts, size, 1)
    return tokenizer if limited is None else limited[0]


def given_tokenizer(name: str) -> Any:
    """The tokenizer in a file. Raises CheckpointError where it lacks `<s>` or `</s>`."""
    if not opening.is_folder(name) and streams.size_of([name]) is None and name != streams.STDIN:
        raise UsageError(f"--tokens {name!r}: expected one of {', '.join(KINDS)}, or a file")
    given = opening.open_tokenizer(name)
    if not {"bos", "eos"} <= set(given.specials):
        raise CheckpointError(
            f"{streams.display(name)}: it has no tokens that begin and end a text",
            hint="`lmkit bpe train` makes tokenizers that have them",
        )
    return given


def learned_merges(run: Run, size: int, lines: Sequence[bytes], special: Sequence[bytes] = ()) -> Any:
    """A byte-level BPE tokenizer of lines, with further special tokens."""
    from lmkit.tokenization.bpe.pretoken_counts import Counter
    from lmkit.tokenization.bpe.scheme import Scheme
    from lmkit.tokenization.bpe.trainer import BYTE_ORDER, fit
    from lmkit.tokenization.vocabulary import NAMES

    counter = Counter(Scheme())
    for block in _blocks(lines):
        counter.add(counter.scan(block))
    size = max(size, len(NAMES) + len(special) + len(BYTE_ORDER))
    return fit(counter.total(), size, special=special, told=run.terminal.stage("merging", size), exact=False)


def _blocks(lines: Sequence[bytes]) -> Iterable[bytes]:
    for begin in range(0, len(lines), BLOCK):
        yield b"\n".join(lines[begin : begin + BLOCK]) + b"\n"


class PairEncoder:
    """From pairs of texts to pairs of sequences."""

    def __init__(
        self,
        run: Run,
        source: Any,
        target: Any,
        form: "TextFormat",
        source_form: "SourceFormat",
        most: int,
        longer: str,
    ) -> None:
        self._run, self._source, self._target, self._most = run, source, target, most
        self._longer = longer
        self._form, self._source_form = form, source_form

    def __call__(self, side: PairLines, what: str) -> tuple["Pairs", list[int]]:
        """The pairs that are not too long, and their places; says how many are."""
        import numpy as np

        from lmkit.training.pair_batches import Pairs

        end = np.array([self._form.newline_id], dtype=np.int32)
        before = np.array(self._source_form.target, dtype=np.int32)
        sources = encoded_lines(self._source, side.sources, self._source_form.around)
        targets = encoded_lines(self._target, side.targets, lambda ids: np.concatenate((before, ids, end)))
        kept = [
            place for place, (one, other) in enumerate(zip(sources, targets, strict=True))
            if len(one) <= self._most + 2 and len(other) <= self._most + 1
        ]  # fmt: skip
        if len(kept) < len(sources):
            self._run.terminal.notice(
                f"{number_of(len(sources) - len(kept), what + ' pair')} of {len(sources):,} longer than {self._most} "
                f"tokens left out; hint: {self._longer}"
            )
        size = sum(len(side.targets[place]) + 1 for place in kept)
        return Pairs([sources[at] for at in kept], [targets[at] for at in kept], self._form.start, size), kept

    def held_out(self, side: PairLines | None) -> tuple["Pairs | None", list[tuple[str, str]]]:
        """Validation pairs, and source and target of each as texts. Raises DataError where all are too long."""
        if side is None:
            return None, []
        found, kept = self(side, "validation")
        if not kept:
            raise DataError(f"all validation pairs are longer than {self._most} tokens", hint=self._longer)
        return found, [(side.sources[at].decode(), side.targets[at].decode()) for at in kept]


def encoded_lines(tokenizer: Any, lines: Sequence[bytes], ended: Callable[["I32"], "I32"]) -> list["I32"]:
    """The ids of each line with what is around them."""
    found: list[I32] = []
    for block in _blocks(lines):
        ids, ends = tokenizer.encode_block(block)
        begin = 0
        for stop in ends.tolist():
            found.append(ended(ids[begin:stop]))
            begin = stop
    return found
