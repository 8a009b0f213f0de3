"""How to search for texts, with beams or contrastively: the generator that does, and its steps as records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.generation.beam_search import Beams, BeamSearch, Found
from lmkit.generation.contrastive import Contrastive, most_probable
from lmkit.generation.engine import Completion, Generator, TextGenerator
from lmkit.generation.sampler import Penalty, Sampler
from lmkit.protocols import LanguageModel

CANDIDATES = 4
"""Of contrastive search, where nothing says how many."""


@dataclass(frozen=True)
class SearchPlan:
    """How to search: with beams, or contrastively if `contrastive` is a weight of likeness."""

    beam: int
    length_penalty: float
    groups: int
    diversity: float
    keep_greedy: bool
    patience: float
    contrastive: float | None
    explain: bool
    number: int
    """Texts that beams give for each request."""
    candidates: int
    """Tokens that contrastive search weighs; 0: as many as is usual."""

    def generator(
        self, model: LanguageModel, *, most: int, stops: Sequence[bytes], never: Sequence[int],
        penalties: Sequence[Penalty],
    ) -> TextGenerator:  # fmt: skip
        """What runs requests. Raises CheckpointError where the model can't be searched that way."""
        if self.contrastive is not None:
            sampler = Sampler(most_probable(self.candidates or CANDIDATES), never=never, penalties=penalties)
            stepper = Contrastive(model, sampler, self.contrastive, explain=self.explain)
            return Generator(model, stepper, most=most, stops=stops)
        beams = Beams(
            self.beam, self.number, self.length_penalty, self.groups, self.diversity if self.groups > 1 else 0.0,
            self.keep_greedy, self.patience,
        )  # fmt: skip
        return BeamSearch(model, beams, most=most, stops=stops, never=never, penalties=penalties, explain=self.explain)

    def fields(self, done: Completion, model: LanguageModel) -> dict[str, Any]:
        """What a record has besides: the score where that is not nats, and the steps."""
        found: dict[str, Any] = {}
        if self.length_penalty and isinstance(done, Found):
            found["score"] = done.score(model)
        return found | ({"steps": self.steps(done, model)} if self.explain else {})

    def steps(self, done: Completion, model: LanguageModel) -> list[list[dict[str, Any]]]:
        """The steps of a search as records, their tokens as they are shown; best first."""

        def piece(token: int) -> str:
            return model.tokenizer.piece(token).decode(errors="replace")

        if self.contrastive is not None:
            return [[{**item._asdict(), "token": piece(item.token)} for item in step] for step in done.trace]
        several = self.groups > 1
        return [
            [
                {
                    **({"group": kept.group} if several else {}),
                    "tokens": [piece(token) for token in kept.tokens],
                    "nats": kept.nats,
                    **({"finish_reason": kept.reason} if kept.reason else {}),
                }
                for kept in step
            ]
            for step in done.trace
        ]
