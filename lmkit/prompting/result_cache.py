"""Results of long work by keys, kept in a journal so that a run that was stopped can continue. Opens no file.

Keys hold all that a result depends on: what is asked, of which model, by which lmkit.
"""

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Protocol

from lmkit import __version__
from lmkit.errors import DataError
from lmkit.prompting import candidate_scoring
from lmkit.prompting.multiple_choice import Question, Scored
from lmkit.protocols import PrefixCache, StoredModel

MOST = 1 << 14  # values that are remembered where there is no journal


class Journal(Protocol):
    """Values of JSON that outlive a run."""

    @property
    def lines(self) -> Sequence[Any]:
        """Those that were there before."""

    def add(self, value: object) -> None:
        """Keep one more. Raises OutputError."""


class ResultCache:
    """Values by keys; with a journal they are kept there, without one the last of them while the run lasts."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._values: dict[str, Any] = {}
        for line in journal.lines if journal is not None else ():
            if isinstance(line, dict) and "key" in line:
                self._values[line["key"]] = line.get("value")

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Keep a value of JSON under its key. Raises OutputError where it can't be written."""
        if self._journal is not None:
            self._journal.add({"key": key, "value": value})
        elif len(self._values) == MOST:
            del self._values[next(iter(self._values))]
        self._values[key] = value


def key_of(model: StoredModel, *asked: Any) -> str:
    """The key of what is asked of a model, any values of JSON: SHA-256, in hexadecimal, over all that counts."""
    said = json.dumps([__version__, model.digest, *asked])
    return sha256(said.encode()).hexdigest()


def scores(
    cache: ResultCache, model: StoredModel, prefix_scorers: Sequence[PrefixCache], questions: Sequence[Question], *,
    window: bool = False,
) -> Iterator[tuple[int, Scored]]:  # fmt: skip
    """What `candidate_scoring.score_all` gives, each question with its place, of which known ones are not asked again.

    Those come first, in order; of equal questions one is asked. Raises DataError for any other value.
    """
    ways = [window, model.tokenizer.parses_specials, model.form.bos]
    keys = [key_of(model, q.before, q.joint, q.candidates, q.after, ways) for q in questions]
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    for key in places:
        if key in cache:
            yield from ((place, _scored(cache[key], questions[place])) for place in places[key])
    pending = [same[0] for key, same in places.items() if key not in cache]
    asked = [questions[place] for place in pending]
    for number, scored in candidate_scoring.score_all(model, prefix_scorers, asked, window=window):
        key = keys[pending[number]]
        cache[key] = [scored.nats, scored.tokens]
        yield from ((place, scored) for place in places[key])


def _scored(value: Any, question: Question) -> Scored:
    try:
        nats, tokens = value
        if len(nats) == len(tokens) == len(question.candidates):
            return Scored(tuple(map(float, nats)), tuple(map(int, tokens)))
    except (TypeError, ValueError):
        pass
    raise DataError("the cache has a value that is not a score", hint="remove the file of --cache")
