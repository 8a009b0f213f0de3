"""What `lmkit data filter` keeps of each chunk of records, and what it edits and drops."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lmkit.commands.options.standard import Run
from lmkit.commands.records.corpora import Chunk, Corpus, CorpusInput, Pair, RecordWriter, read_pairs, with_text
from lmkit.data.filter_rules import Failure, Rule
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs
from lmkit.io.records import from_json, to_json
from lmkit.io.text_sources import FIELD
from lmkit.isolation import LimitError

LANGUAGES = ("es", "en", "other")


@dataclass(frozen=True)
class Settings:
    """The filters as they were typed."""

    rules: str | None
    thresholds: Sequence[str]
    stop_words: str | None
    language: str | None
    min_score: Sequence[str]
    match: Sequence[str]
    exclude: Sequence[str]

    @property
    def any(self) -> bool:
        """Whether there is a filter."""
        return bool(self.rules or self.language or self.min_score or self.match or self.exclude)


@dataclass
class Counts:
    """How many records were read and kept, and what each rule did."""

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    edited: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Counts") -> None:
        """Take the records of another part of the corpus."""
        self.read += other.read
        self.kept += other.kept
        for own, more in ((self.dropped, other.dropped), (self.edited, other.edited)):
            for name, count in more.items():
                own[name] = own.get(name, 0) + count

    def rows(self) -> list[dict[str, Any]]:
        """The rows of a report: rules that did something, those that dropped first."""
        names = dict.fromkeys([*self.dropped, *self.edited])
        return [
            {"rule": name, "dropped": self.dropped.get(name, 0), "edited": self.edited.get(name, 0)} for name in names
        ]


@dataclass
class Judged:
    """Records of a chunk as they are after edits, and why some are dropped."""

    name: str
    header: bytes | None
    raws: list[bytes]
    texts: list[str]
    fields: Sequence[Mapping[str, Any]]
    failures: list[Failure | None]

    def kept(self) -> list[bytes]:
        """The records that are kept."""
        return [raw for raw, failure in zip(self.raws, self.failures, strict=True) if failure is None]

    def explained(self) -> Iterator[dict[str, Any]]:
        """All records with the rule by which each is dropped."""
        for fields, failure in zip(self.fields, self.failures, strict=True):
            yield {**fields, **explained(failure)}


def explained(failure: Failure | None) -> dict[str, Any]:
    """What a record says of the rule by which it is dropped."""
    return {"dropped_by": failure.rule, "value": failure.value} if failure else {"dropped_by": None}


class RecordFilter:
    """Filters that look at one record at a time."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError for what is no filter."""
        self.counts = Counts()
        self._rules, self._edits = _rules(settings)
        words = (settings.stop_words or "").split(",")
        self._stop_words = frozenset(word.strip().lower() for word in words if word.strip()) or None
        self._languages = _languages(settings.language)
        self._scores = [_score(text) for text in settings.min_score]
        self.fields = [name for name, _ in self._scores]
        self._patterns = None
        if settings.match or settings.exclude:
            from lmkit.data.text_patterns import TextPatterns

            try:
                self._patterns = TextPatterns(settings.match, settings.exclude)
            except DataError as error:
                raise UsageError(str(error)) from None

    def judged(self, corpus: Corpus) -> Iterator[Judged]:
        """The records of a corpus. Raises DataError."""
        field_name = corpus.source.field or FIELD
        for chunk in corpus.chunks():
            yield self._judge(chunk, field_name)

    def _judge(self, chunk: Chunk, field_name: str) -> Judged:
        texts = [text.decode() for text in chunk.texts]
        raws, fields = (
            list(chunk.raws),
            [{field_name: text} for text in texts] if chunk.fields is None else list(chunk.fields),
        )
        for at, text in enumerate(texts):
            edited = self._edited(text)
            if edited != text:
                texts[at] = edited
                raws[at] = with_text(chunk, at, field_name, edited)
                fields[at] = {**fields[at], field_name: edited}
        failed = self._failed_patterns(chunk, texts)
        failures = [
            self._failure(chunk, at, text, pattern)
            for at, (text, pattern) in enumerate(zip(texts, failed, strict=True))
        ]
        counts = self.counts
        counts.read += len(texts)
        for failure in failures:
            if failure is None:
                counts.kept += 1
            else:
                counts.dropped[failure.rule] = counts.dropped.get(failure.rule, 0) + 1
        return Judged(chunk.name, chunk.header, raws, texts, fields, failures)

    def _failed_patterns(self, chunk: Chunk, texts: Sequence[str]) -> list[int | None]:
        """The pattern that each text fails. Raises LimitError, which names the record."""
        if self._patterns is None:
            return [None] * len(texts)
        found: list[int | None] = []
        try:
            for number in self._patterns.failures(texts):
                found.append(number)
        except LimitError as error:
            raise LimitError(f"{chunk.place(len(found))}: --match or --exclude: {error}") from None
        return found

    def _edited(self, text: str) -> str:
        from lmkit.data.text_edits import EDITS

        for name in self._edits:
            text, count = EDITS[name](text)
            if count:
                self.counts.edited[name] = self.counts.edited.get(name, 0) + 1
        return text

    def _failure(self, chunk: Chunk, number: int, text: str, pattern: int | None) -> Failure | None:
        """The first filter that a record fails."""
        from lmkit.data.filter_rules import Document, first_failure

        for name, least in self._scores:
            score = _number((chunk.fields or ())[number][name], f"{chunk.place(number)}: the field {name!r}")
            if score < least:
                return Failure(f"min-score {name}", score)
        document = Document(text, self._stop_words)
        if self._languages and document.language not in self._languages:
            return Failure(f"language {document.language}", 0.0)
        if pattern is not None and self._patterns is not None:
            return Failure(f"pattern {self._patterns.patterns[pattern]}", 0.0)
        if self._edits and not text.strip():
            return Failure("empty", 0.0)
        return first_failure(document, self._rules)


def _rules(settings: Settings) -> tuple[dict[str, Rule], list[str]]:
    """The rules, with their ranges, and the edits that are asked for. Raises UsageError."""
    from lmkit.data.filter_rules import chosen
    from lmkit.data.text_edits import chosen_edits

    rules: dict[str, Rule] = {}
    edits: dict[str, None] = {}
    names = [name.strip() for name in (settings.rules or "").split(",") if name.strip()]
    for name in names:
        own = chosen_edits(name.removeprefix("-"))
        try:
            found = chosen([name.removeprefix("-")])
        except ValueError:
            if not own:
                raise UsageError(f"--rules: {name!r} is no rule or set of rules", hint="--list shows them") from None
            found = {}
        if name.startswith("-"):
            rules = {key: rule for key, rule in rules.items() if key not in found}
            edits = {key: None for key in edits if key not in own}
        else:
            rules |= found
            edits |= dict.fromkeys(own)
    for text in settings.thresholds:
        name, _, bounds = text.partition("=")
        if name not in rules:
            raise UsageError(f"--threshold {text!r}: {name!r} is not a rule in use", hint="name it in --rules")
        low, high = _range(text, bounds)
        rules[name] = rules[name]._replace(low=low, high=high)
    return rules, list(edits)


def _range(text: str, bounds: str) -> tuple[float, float]:
    low, colon, high = bounds.partition(":")
    try:
        found = float(low or "-inf"), float(high or "inf")
    except ValueError:
        found = math.nan, math.nan
    if not colon or not found[0] <= found[1]:
        raise UsageError(f"--threshold {text!r} is not RULE=LOW:HIGH", hint="--threshold gopher-words=20:100000")
    return found


def _languages(text: str | None) -> frozenset[str]:
    names = frozenset(name.strip() for name in (text or "").split(",") if name.strip())
    if names - set(LANGUAGES):
        raise UsageError(f"--language {text!r} is not a list of {', '.join(LANGUAGES)}")
    return names


def _score(text: str) -> tuple[str, float]:
    name, colon, least = text.rpartition(":")
    try:
        number = float(least)
    except ValueError:
        number = math.nan
    if not colon or not name or math.isnan(number):
        raise UsageError(f"--min-score {text!r} is not NAME:X", hint="--min-score score:3")
    return name, number


def _number(value: Any, what: str) -> float:
    """A number in a field. Raises DataError."""
    try:
        found = math.nan if isinstance(value, bool | list | dict) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if math.isnan(found):
        raise DataError(f"{what} is not a number")
    return found


class PairLimits(NamedTuple):
    """What is no translation: pairs with a length ratio or a number of words above these."""

    ratio: float
    words: int

    def failure(self, pair: Pair) -> Failure | None:
        """The rule that a pair fails, and what it measured."""
        source, target = pair.source.split(), pair.target.split()
        sizes = sorted((len(source), len(target)))
        if not sizes[0]:
            return Failure("pair-empty", 0.0)
        if source == target:
            return Failure("pair-copy", 1.0)
        if sizes[1] > self.ratio * sizes[0]:
            return Failure("pair-ratio", sizes[1] / sizes[0])
        return Failure("pair-long", float(sizes[1])) if sizes[1] > self.words else None


def filter_pairs(
    run: Run, stored: CorpusInput, files: list[str] | None, output: str | None, limits: PairLimits, *, explain: bool
) -> Counts:
    """Write the pairs that may be translations, or all with why they may not; return what was dropped."""
    counts = Counts()
    with outputs.open_output(output) as out:
        writer = RecordWriter(out)
        for group in read_pairs(run, stored, files):
            kept = []
            for pair in group:
                failure = limits.failure(pair)
                if explain:
                    out.line(to_json({**_fields(pair), **explained(failure)}))
                if failure is None:
                    kept.append(pair.raw)
                else:
                    counts.dropped[failure.rule] = counts.dropped.get(failure.rule, 0) + 1
            counts.read += len(group)
            counts.kept += len(kept)
            if not explain:
                writer.write(kept)
    return counts


def _fields(pair: Pair) -> dict[str, Any]:
    """The fields of a pair's record; of TSV source and target."""
    if pair.raw.startswith(b"{"):
        return from_json(pair.raw, pair.place)
    return {"source": pair.source, "target": pair.target}
