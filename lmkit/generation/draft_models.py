"""What may come next, guessed cheaply: by a smaller model, or from what stood there before. Knows no target model.

A draft never decides anything: what it proposes is kept only where the model itself chooses the same.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from lmkit.errors import CheckpointError, DataError
from lmkit.generation import prompt_encoding
from lmkit.generation.candidates import Candidates
from lmkit.generation.sampler import Position, Sampler
from lmkit.protocols import LanguageModel, State, Tokenizer, context_limit

LEVELS = 8  # steps in which a draft's certainty is counted
FOUND = (0.2, 0.5, 0.7, 0.85)
"""How often what followed a run of one, two, ... tokens follows again; the last serves longer ones."""


class Proposal(NamedTuple):
    """One token, how probably it is right at first sight, and which of them are alike in that."""

    token: int
    chance: float
    level: tuple[str, int]


class Draft(Protocol):
    """Proposes how one text continues."""

    def follow(self, tokens: Sequence[int]) -> None:
        """The text has gone on with these."""

    def propose(self) -> Iterator[Proposal]:
        """The next tokens, each given those before; as many as are asked for, or fewer."""


DraftFactory = Callable[[Position], Draft]
"""A draft for the text that begins at a place."""


class Lookup:
    """Proposes what followed where the last tokens stood before. Saxena (2023), Prompt Lookup Decoding.

    Of all runs of up to `longest` tokens the longest counts, and of its places the last. Each token costs
    `longest` entries of a dictionary. What follows may run into the end of the text, which then continues as it
    has been guessed to: a text that repeats itself is found out after one round.
    """

    def __init__(self, place: Position, longest: int) -> None:
        self._longest = longest
        self._ids: list[int] = []
        self._behind: dict[tuple[int, ...], int] = {}
        self._found: tuple[int, int] | None = None
        self.follow([*place.prompt.tolist(), *place.ids])

    def follow(self, tokens: Sequence[int]) -> None:
        """See `Draft.follow`."""
        ids, behind = self._ids, self._behind
        for token in tokens:
            ids.append(token)
            size = len(ids)
            self._found = None
            for length in range(1, min(self._longest, size) + 1):
                run = tuple(ids[size - length :])
                before = behind.get(run)
                if before is not None:
                    self._found = before, length
                behind[run] = size

    def propose(self) -> Iterator[Proposal]:
        """See `Draft.propose`."""
        if self._found is None:
            return
        begin, length = self._found
        guessed: list[int] = []
        while True:
            place = begin + len(guessed) - len(self._ids)
            token = self._ids[place] if place < 0 else guessed[place]
            known = length + len(guessed)
            yield Proposal(token, FOUND[min(known, len(FOUND)) - 1], ("lookup", min(known, LEVELS)))
            guessed.append(token)


class ModelDraft:
    """Proposes what another model of the same tokens would choose, by the same filters and the same race.

    It may read texts otherwise: a model of lines restarts after each line end.
    """

    def __init__(self, model: LanguageModel, chooser: Sampler, newline_id: int | None, place: Position) -> None:
        self._model, self._chooser, self._place = model, chooser, place
        self._newline_id = None if model.form.multiline else newline_id
        most = context_limit(model)
        ids = place.prompt[-most:] if most is not None else place.prompt
        if self._newline_id is not None:
            last = np.flatnonzero(ids == self._newline_id)
            ids = ids[last[-1] + 1 :] if len(last) else ids
        self._states: list[State] = [prompt_encoding.state_after(model, ids)]
        self._ids: list[int] = []
        self._guessed: list[int] = []
        self.follow(place.ids)

    def follow(self, tokens: Sequence[int]) -> None:
        """See `Draft.follow`."""
        right = _alike(self._guessed[: len(self._states) - 1], tokens)
        state = self._states[right]
        self._states, self._guessed = [], []  # states that are not held cost no copies
        for token in tokens[right:]:
            state = self._after(state, token)
        self._states = [state]
        self._ids += tokens

    def propose(self) -> Iterator[Proposal]:
        """See `Draft.propose`."""
        while True:
            place = self._place._replace(ids=[*self._ids, *self._guessed])
            try:
                candidates = self._chooser.candidates(self._model.next(self._states[-1])[None], [place])
            except DataError:  # nothing that it thinks possible may follow
                return
            token = int(self._chooser.draw(candidates, [place])[0][0])
            chance = _share(candidates, token)
            self._guessed.append(token)
            yield Proposal(token, chance, ("model", int(chance * LEVELS)))
            self._states.append(self._after(self._states[-1], token))

    def _after(self, state: State, token: int) -> State:
        return self._model.start() if token == self._newline_id else self._model.advance(state, token)


def _alike(some: Sequence[int], others: Sequence[int]) -> int:
    """How many tokens are the same before the first that is not."""
    for place, (one, other) in enumerate(zip(some, others, strict=False)):
        if one != other:
            return place
    return min(len(some), len(others))


def _share(candidates: Candidates, token: int) -> float:
    """A candidate's probability among those of one place."""
    logs = candidates.logs[0]
    at = token if candidates.ids is None else int(np.flatnonzero(candidates.ids[0] == token)[0])
    return float(1 / np.exp(logs - logs[at]).sum())


def check_same_tokens(model: Tokenizer, draft: Tokenizer) -> None:
    """Raises CheckpointError where two models don't have the same tokens."""
    if draft.digest != model.digest or draft.size != model.size:
        raise CheckpointError(
            f"the draft has {draft.size} {draft.kind} tokens, expected the model's {model.size} {model.kind} tokens",
            hint="train a draft with the model's tokenizer: `lmkit ngram fit --tokens MODEL`",
        )
