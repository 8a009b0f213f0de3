"""Texts generated several tokens at a time: a draft proposes some, the model looks at all of them in one pass.

The model chooses at each place what it would choose there without a draft, since a race depends on nothing but
the text's stream, the step and the model's probabilities. Its choices are kept up to and with the first that
is not the one proposed. So the text is the same to the byte, whatever the draft, which is more than the same
distribution that a test by chance against p/q keeps (Leviathan et al., 2023; Chen et al., 2023). The price is
a little less agreement: draft and model that run the same race, the one with probabilities q and the other
with p, name the same token with probability (1 - TV) / (1 + TV) at least, and with 1 - TV at most, TV being
their distance in total variation (Daliri, Musco and Suresh, 2024, who call such drafting drafter-invariant).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from lmkit.generation import batching
from lmkit.generation.draft_models import Draft, DraftFactory, Proposal
from lmkit.generation.engine import ActiveSequence, Step, attempted
from lmkit.generation.prompt_encoding import ends_of
from lmkit.generation.sampler import Sampler
from lmkit.generation.steppers import ExactState
from lmkit.protocols import I32, LanguageModel, State, supports_batching

MOST = 15
"""Tokens proposed at once: with the one before them sixteen, from where on a pass costs as much more as it gives."""
SURELY = 4  # how many trials a first sight counts for
REMEMBERED = 64  # trials of a level after which the older ones count half
HOPELESS = 0.05  # chance of being looked at below which nothing more is proposed

Cost = Callable[[int], float]
"""How long a pass over some tokens takes, in passes over one."""


def cost_of_pass(tokens: int) -> float:
    """As `benchmarks/speculation.py` measures it of models of GPT-2's size in numpy: for 2, 4, 16 1.6, 2.4, 3.5."""
    return min(1 + 0.5 * (tokens - 1), 2.2 + 0.08 * tokens)


def cost_of_steps(tokens: int) -> float:
    """Of a model that goes step by step."""
    return tokens


@dataclass
class Tally:
    """How many tokens were proposed to the model, how many of these it chose, and in how many passes.

    `alone` counts the choices that rounding could have decided, for which the text was run by single steps.
    """

    proposed: int = 0
    accepted: int = 0
    passes: int = 0
    alone: int = 0


class DraftLengthController:
    """How many of a draft's proposals are worth a look: decided by how often such were right, never by a clock.

    Proposals with chances c_1, c_2, ... are expected to give 1 + c_1 + c_1 c_2 + ... tokens; as many are taken
    as give most of them for the cost of the pass.
    """

    def __init__(self, most: int, cost: Cost) -> None:
        self._most, self._cost = most, cost
        self._seen: dict[Any, list[float]] = {}

    def worth(self, proposals: Iterator[Proposal], ends: Sequence[int]) -> tuple[float, list[Proposal], int]:
        """Tokens expected for a cost of one, what was proposed, and how many of it to look at."""
        best, taken = 1.0, 0
        found: list[Proposal] = []
        expected = chance = 1.0
        for proposal in islice(proposals, self._most):
            found.append(proposal)
            chance *= self._chance(proposal)
            expected += chance
            value = expected / self._cost(len(found) + 1)
            if value > best:
                best, taken = value, len(found)
            if chance < HOPELESS or proposal.token in ends:
                break
        return best, found, taken

    def learn(self, proposals: Sequence[Proposal], tokens: Sequence[int]) -> None:
        """Tokens were chosen where these were proposed, each of which counts where those before it were right."""
        for proposal, token in zip(proposals, tokens, strict=False):
            right = proposal.token == token
            seen = self._seen.setdefault(proposal.level, [0.0, 0.0])
            if seen[1] >= REMEMBERED:
                seen[:] = seen[0] / 2, seen[1] / 2
            seen[:] = seen[0] + right, seen[1] + 1
            if not right:
                return

    def _chance(self, proposal: Proposal) -> float:
        right, trials = self._seen.get(proposal.level, (0.0, 0.0))
        return (right + SURELY * proposal.chance) / (trials + SURELY)


@dataclass
class _Text:
    """A row, the state before its last token, and the drafts that propose how it continues."""

    row: ActiveSequence
    alone: ExactState
    drafts: list[Draft]
    state: State
    known: int = 0
    paces: list[DraftLengthController] = field(default_factory=list)


class Speculation:
    """A `Stepper` whose rows are continued one after another, each by several tokens where drafts guess them."""

    def __init__(
        self,
        model: LanguageModel,
        chooser: Sampler,
        drafts: Sequence[DraftFactory],
        *,
        most: int = MOST,
        cost: Cost | None = None,
    ) -> None:
        self._model, self._chooser, self._drafts = model, chooser, drafts
        self._most = most
        self._cost = cost or (cost_of_pass if supports_batching(model) else cost_of_steps)
        self._ends = ends_of(model.form)
        self._texts: list[_Text] = []
        self.tally = Tally()

    def join(self, rows: Sequence[ActiveSequence]) -> None:
        """See `Stepper.join`."""
        for row in rows:
            drafts = [begin(row.place) for begin in self._drafts]
            paces = [DraftLengthController(self._most, self._cost) for _ in drafts]
            self._texts.append(_Text(row, ExactState(self._model, row), drafts, row.request.state, paces=paces))

    def keep(self, rows: Sequence[int]) -> None:
        """See `Stepper.keep`."""
        self._texts = [self._texts[row] for row in rows]
        for text in self._texts:
            for draft in text.drafts:
                draft.follow(text.row.ids[text.known :])
            text.known = len(text.row.ids)

    def step(self) -> list[Step]:
        """See `Stepper.step`."""
        return [attempted(partial(self._several if text.row.ids else self._first, text)) for text in self._texts]

    def _first(self, text: _Text) -> list[int]:
        """A text's first token, for which nothing is run but what the prompt was run for."""
        logs = self._model.next(text.state)[None]
        return [int(self._chooser(logs, [text.row.place])[0][0])]

    def _several(self, text: _Text) -> list[int]:
        """The tokens chosen behind the last one and behind all that is proposed and right."""
        ids = text.row.ids
        plans = [pace.worth(draft.propose(), self._ends) for draft, pace in zip(text.drafts, text.paces, strict=True)]
        _, proposals, count = max(plans, key=lambda plan: plan[0])
        guessed = [proposal.token for proposal in proposals[:count]]
        states = batching.follow(self._model, text.state, _array([ids[-1], *guessed]))
        chosen = self._chosen(text, batching.next_many(self._model, states), guessed)
        text.state = states[len(chosen) - 1]  # the others go with the list: a cache is then no one else's
        for pace, (_, some, _) in zip(text.paces, plans, strict=True):
            pace.learn(some, chosen)
        self.tally.passes += 1
        self.tally.proposed += count
        self.tally.accepted += len(chosen) - 1
        return chosen

    def _chosen(self, text: _Text, logs: Any, guessed: list[int]) -> list[int]:
        """The model's own tokens at one place after another, until one is not the one guessed."""
        row = text.row
        chosen: list[int] = []
        for nats, error in zip(logs, batching.errors(self._model, logs).tolist(), strict=True):
            place = row.place._replace(ids=[*row.ids, *chosen])
            (token,), (sure,) = self._chooser(nats[None], [place], error)
            if not sure:
                exact = self._model.next(text.alone.state(chosen))
                token = self._chooser(exact[None], [place])[0][0]
                self.tally.alone += 1
            chosen.append(int(token))
            if guessed[len(chosen) - 1 : len(chosen)] != chosen[-1:]:
                break
        return chosen


def _array(ids: list[int]) -> I32:
    return np.array(ids, dtype=np.int32)
