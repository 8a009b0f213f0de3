"""Texts drawn after prompts, and the answer that most of them give: self-consistency."""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.scoring_models import ContextNotice
from lmkit.commands.options.sampling import FilterOptions
from lmkit.commands.records.prompts import Prompt


def drawing(model: Any, filters: FilterOptions, *, number: int, most: int, stops: Sequence[bytes]) -> Any:
    """A generator that draws several texts of a prompt together, where the model can."""
    from lmkit.generation import prompt_encoding
    from lmkit.generation.batching import is_batched
    from lmkit.generation.engine import BatchedStepper, Generator, SequentialStepper
    from lmkit.generation.sampler import Sampler

    filtering = filters.filtering
    never = prompt_encoding.never(model, unknown=False)
    chooser = Sampler(filtering.chain(), never=never, greedy=filters.temperature == 0)
    together = is_batched(model) and number > 1
    stepper = BatchedStepper(model, chooser) if together else SequentialStepper(model, chooser)
    return Generator(model, stepper, most=most, stops=stops, batch=number if together else 1, growing=False)


class SelfConsistency:
    """Draws `number` texts after each prompt and has them vote."""

    def __init__(
        self, model: Any, filters: FilterOptions, rules: Any, windows: ContextNotice, *, number: int, most: int,
        stops: Sequence[bytes], seed: int,
    ) -> None:  # fmt: skip
        self._model, self._rules, self._windows, self._number, self._seed = model, rules, windows, number, seed
        self._generator = drawing(model, filters, number=number, most=most, stops=stops)

    def record(self, prompt: Prompt, *, window: bool) -> dict[str, Any]:
        """What is told of a prompt: the answer, None where no text has one, the votes, and the texts."""
        from lmkit.metrics.answer_extraction import vote

        texts = [text.decode(errors="replace") for text in self._texts(prompt, window=window)]
        with opening.error_context(prompt.place or "--prompt"):
            found = list(self._rules.answers(texts))
        forms = [None if one is None else one.form for one in found]
        chosen = vote(forms)
        votes: dict[str, int] = {}
        for form in forms:
            if form is not None:
                first = found[forms.index(form)].text
                votes[first] = votes.get(first, 0) + 1
        shown = {
            "prompt": prompt.text.decode(errors="replace"),
            "answer": None if chosen is None else found[chosen].text,
            "votes": votes,
            "texts": texts,
        }
        return {"id": prompt.id, **shown} | {name: value for name, value in prompt.record.items() if name not in shown}

    def _texts(self, prompt: Prompt, *, window: bool) -> list[bytes]:
        from lmkit.data import keyed_random
        from lmkit.generation import prompt_encoding
        from lmkit.generation.engine import Completion, Request

        with opening.error_context(prompt.place or "--prompt"):
            ids = prompt_encoding.seen(self._model, prompt.text, window=window)
        after = cache(partial(prompt_encoding.state_after, self._model, ids))
        requests = [
            Request(keyed_random.stream_of(self._seed, prompt.key, place), ids, after) for place in range(self._number)
        ]
        made = [event for event in self._generator.run(requests) if isinstance(event, Completion)]
        self._windows.tell(len(ids) + max(len(event.ids) + len(event.closing) for event in made))
        return [event.text for event in made]
