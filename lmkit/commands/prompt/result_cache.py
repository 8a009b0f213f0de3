"""What is done of long work, kept in the file of --cache so that a run that was stopped goes on: see `io.journal`.

Items are known by keys that hold all that their values hang on: what is asked, of which model, by which lmkit.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Annotated, Any

import typer

from lmkit import __version__
from lmkit.commands.options.standard import Run
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.io.journal import Journal, open_journal

HEADER = b'{"lmkit": "finished items", "format": 1}\n'

Cache = Annotated[
    str | None,
    typer.Option(
        "--cache", metavar="FILE", show_default=False,
        help="Keep finished items in FILE as they come, and take from it those that are there: a run that was "
        "stopped goes on.",
    ),
]  # fmt: skip


MOST = 1 << 14  # values that are remembered where there is no journal


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
        """Keeps a value of JSON under its key. Raises OutputError where it can't be written."""
        if self._journal is not None:
            self._journal.add({"key": key, "value": value})
        elif len(self._values) == MOST:
            del self._values[next(iter(self._values))]
        self._values[key] = value


def refuse_overwriting_inputs(cache: str | None, inputs: Sequence[str | None]) -> None:
    """Raises UsageError where --cache names an input."""
    try:
        streams.spare_inputs(cache, inputs)
    except UsageError as error:
        raise UsageError(str(error), hint="--cache names a file of its own") from None


@contextmanager
def open_cache(run: Run, name: str | None) -> Iterator[ResultCache]:
    """The finished items of --cache; none without a file. Raises as `open_journal` does."""
    if name is None:
        yield ResultCache()
        return
    with open_journal(name, HEADER) as journal:
        if journal.torn:
            run.terminal.notice(f"{name}: its last line was not written to the end, and is cut off")
        yield ResultCache(journal)


def key_of(model: Any, *asked: Any) -> str:
    """The key of what is asked of a model, any values of JSON: SHA-256, in hexadecimal, over all that counts."""
    said = json.dumps([__version__, model.digest, *asked])
    return sha256(said.encode()).hexdigest()


def scores(
    finished: ResultCache, model: Any, trunks: Sequence[Any], questions: Sequence[Any], *, window: bool = False
) -> Iterator[tuple[int, Any]]:
    """What `answering.score_each` gives, each question with its place, of which finished ones are not asked again.

    Those come first, in order; of equal questions one is asked. Trunks are `answering.trunk_of` the model; who asks
    several times keeps them. Raises DataError for a value that is none of these.
    """
    from lmkit.prompting import candidate_scoring

    ways = [window, getattr(model.tokenizer, "parses", False), model.form.bos]
    keys = [key_of(model, q.before, q.joint, q.candidates, q.after, ways) for q in questions]
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    for key in places:
        if key in finished:
            yield from ((place, _scored(finished[key], questions[place])) for place in places[key])
    pending = [same[0] for key, same in places.items() if key not in finished]
    asked = [questions[place] for place in pending]
    for number, scored in candidate_scoring.score_all(model, trunks, asked, window=window):
        key = keys[pending[number]]
        finished[key] = [scored.nats, scored.tokens]
        yield from ((place, scored) for place in places[key])


def _scored(value: Any, question: Any) -> Any:
    from lmkit.prompting.multiple_choice import Scored

    try:
        nats, tokens = value
        if len(nats) == len(tokens) == len(question.candidates):
            return Scored(tuple(map(float, nats)), tuple(map(int, tokens)))
    except (TypeError, ValueError):
        pass
    raise DataError("the cache has a value that is no score", hint="remove the file of --cache")
