"""Self-consistency: texts drawn after a prompt, and the answer that most of them give (Wang et al. 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from lmkit.data import keyed_random
from lmkit.generation import prompt_encoding
from lmkit.generation.engine import Completion, Generator, Request, TextGenerator, completions
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Sampler
from lmkit.generation.steppers import BatchedStepper, SequentialStepper
from lmkit.metrics.answer_extraction import Rules, vote
from lmkit.protocols import I32, LanguageModel, supports_batching


def drawing_generator(
    model: LanguageModel, filtering: Filtering, *, number: int, most: int, stops: Sequence[bytes]
) -> Generator:
    """A generator that draws several texts of a prompt together, where the model can."""
    never = prompt_encoding.never(model, unknown=False)
    sampler = Sampler(filtering.chain(), never=never, greedy=filtering.values["temperature"] == 0)
    together = supports_batching(model) and number > 1
    stepper = BatchedStepper(model, sampler) if together else SequentialStepper(model, sampler)
    return Generator(model, stepper, most=most, stops=stops, batch=number if together else 1, growing=False)


@dataclass(frozen=True)
class SelfConsistency:
    """Draws `number` texts after each prompt and has them vote by rules."""

    model: LanguageModel
    generator: TextGenerator
    rules: Rules
    number: int
    seed: int

    def texts(self, ids: I32, key: str) -> list[Completion]:
        """The texts after a prompt; `key` and seed decide what is drawn."""
        after = cache(partial(prompt_encoding.state_after, self.model, ids))
        requests = [Request(keyed_random.stream_of(self.seed, key, place), ids, after) for place in range(self.number)]
        return list(completions(self.generator.run(requests)))

    def fields(self, texts: Sequence[str]) -> dict[str, Any]:
        """The `answer` of most texts, None where none has one, the `votes` for each, and the `texts`."""
        found = list(self.rules.answers(texts))
        forms = [None if one is None else one.form for one in found]
        chosen = vote(forms)
        firsts: dict[str, str] = {}
        votes: dict[str, int] = {}
        for answer in found:
            if answer is not None:
                first = firsts.setdefault(answer.form, answer.text)
                votes[first] = votes.get(first, 0) + 1
        winner = None if chosen is None else found[chosen]
        return {"answer": None if winner is None else winner.text, "votes": votes, "texts": list(texts)}
