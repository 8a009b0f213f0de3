"""A search over thoughts, pieces of text that follow one another, breadth first. Knows no files and no options.

Yao et al. 2023, "Tree of Thoughts", with the model's own likelihood for a value:

    value = nats / tokens ** alpha        over all thoughts of a path, the tokens that end them included

At each depth every open path is continued by several thoughts, and the best of the new paths are kept.
Paths that the model ends compete in the end with those that came to the last depth.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.data import keyed_random
from lmkit.data.sequences import decode_text
from lmkit.generation import prompt_encoding
from lmkit.generation.engine import Completion, Request, TextGenerator, completions
from lmkit.protocols import I32, LanguageModel, State


@dataclass(frozen=True)
class Path:
    """Thoughts one after another, and the model's state behind them."""

    state: State
    thoughts: tuple[bytes, ...] = ()
    ids: tuple[int, ...] = ()
    """All tokens, those of stop strings and of the text's end included."""
    nats: float = 0.0
    finish_reason: str = ""
    """Why it can't be continued: `eos`, or `depth`; empty while it can."""

    def value(self, alpha: float) -> float:
        """nats / tokens ** alpha."""
        return self.nats / float(max(1, len(self.ids)) ** alpha)


Continue = Callable[[Path], Iterable[Completion]]
"""Thoughts that may follow a path."""


def search(
    model: LanguageModel, root: Path, continue_: Continue, *, breadth: int, depth: int, alpha: float = 0.0,
    stops: Sequence[bytes] = (),
) -> Iterator[list[Path]]:  # fmt: skip
    """The paths kept at each depth, best first; the last list holds all that ended or came to the end.

    A thought ends before the stop string that ends it, unless the token that completes this reaches beyond: then
    it is all that its tokens spell, so that no text between two thoughts is lost. Of equal values the one that
    was found first; thoughts that come twice after one path count once.
    """

    def ranked(paths: Iterable[Path]) -> list[Path]:
        return sorted(paths, key=lambda path: -path.value(alpha))

    live, ended = [root], list[Path]()
    for level in range(1, depth + 1):
        made = [new for path in live for new in _followed(model, path, continue_, stops, last=level == depth)]
        ended += [path for path in made if path.finish_reason]
        live = ranked(path for path in made if not path.finish_reason)[:breadth]
        if not live:
            break
        yield live
    yield ranked(ended)


def _followed(
    model: LanguageModel, path: Path, continue_: Continue, stops: Sequence[bytes], *, last: bool
) -> Iterator[Path]:
    """Yield the paths that continue one by another thought."""
    seen: set[tuple[int, ...]] = set()
    for thought in continue_(path):
        ids = (*thought.ids, *thought.closing)
        if ids in seen:
            continue
        seen.add(ids)
        reason = "eos" if thought.finish_reason == "eos" else "depth" if last else ""
        state = path.state if reason else _after(model, path.state, ids)
        nats = path.nats + thought.nats(model)
        yield Path(state, (*path.thoughts, _text_of(model, thought, stops)), (*path.ids, *ids), nats, reason)


def _text_of(model: LanguageModel, thought: Completion, stops: Sequence[bytes]) -> bytes:
    """A thought's text; see `search`."""
    if thought.finish_reason != "stop" or not stops:
        return thought.text
    whole = decode_text(model.tokenizer, model.form, [*thought.ids, *thought.closing])
    beyond = whole.startswith(thought.text) and whole[len(thought.text) :] not in stops
    return whole if beyond else thought.text


def _after(model: LanguageModel, state: State, ids: Sequence[int]) -> State:
    """The state after more tokens, one by one, so that it depends on nothing else."""
    for token in ids:
        state = model.advance(state, token)
    return state


@dataclass(frozen=True)
class TreeSearcher:
    """Searches after prompts: `breadth` paths are kept, up to `depth` thoughts.

    `drawn` thoughts of a path are drawn by the seed; with 1 the generator finds several of its own.
    """

    model: LanguageModel
    generator: TextGenerator
    stops: Sequence[bytes]
    seed: int
    drawn: int
    breadth: int
    depth: int
    alpha: float = 0.0

    def levels(self, ids: I32, key: str) -> list[list[Path]]:
        """The paths after a prompt that `search` gives; `key` and seed decide what is drawn."""

        def continued(path: Path) -> Iterator[Completion]:
            own = " ".join([key, *map(str, path.ids)])
            requests = [
                Request(keyed_random.stream_of(self.seed, own, place), ids, lambda: path.state)
                for place in range(self.drawn)
            ]
            return completions(self.generator.run(requests))

        root = Path(prompt_encoding.state_after(self.model, ids))
        return list(
            search(
                self.model, root, continued, breadth=self.breadth, depth=self.depth, alpha=self.alpha,
                stops=self.stops,
            )
        )  # fmt: skip

    def fields(self, path: Path) -> dict[str, Any]:
        """What a record says of a path."""
        ids = path.ids[:-1] if path.finish_reason == "eos" else path.ids
        return {
            "text": decode_text(self.model.tokenizer, self.model.form, ids).decode(errors="replace"),
            "thoughts": [thought.decode(errors="replace") for thought in path.thoughts],
            "tokens": len(path.ids),
            "nats": path.nats,
            "value": path.value(self.alpha),
            "finish_reason": path.finish_reason or "going on",
        }
