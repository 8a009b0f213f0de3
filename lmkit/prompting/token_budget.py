"""How many examples fit into a prompt of so many tokens: whole ones, and always the item. Knows no models."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from lmkit.errors import DataError
from lmkit.prompting.example_selection import Arrangement
from lmkit.prompting.examples import Example
from lmkit.prompting.layout import Prompt, PromptLayout


@dataclass
class Budget:
    """Tokens that a prompt may have, and how many examples were kept of how many, prompt by prompt.

    A prompt that is too long loses the last chosen of its examples, another one if need be, until it fits; the
    instruction and the item stay.
    """

    most: int
    size: Callable[[str], int]
    """Tokens of a text."""
    kept: Counter[tuple[int, int]] = field(default_factory=Counter)
    """In how many prompts so many examples are of so many."""

    def fitted(
        self, layout: PromptLayout, arranged: Arrangement, shots: list[Example], item: Example
    ) -> tuple[Prompt, list[Example]]:
        """The prompt and its examples in their order there. Raises DataError where the item alone is too long."""

        def laid(count: int) -> tuple[Prompt, list[Example]]:
            some = arranged(shots[:count], item)
            return layout.lay(some, item), some

        def fits(found: tuple[Prompt, list[Example]]) -> bool:
            return self.size(found[0].text) <= self.most

        best = laid(len(shots))
        if not fits(best):
            best = laid(0)
            if not fits(best):
                raise DataError(
                    f"the prompt has {self.size(best[0].text)} tokens without examples, expected at most {self.most}"
                )
            low, high = 0, len(shots)  # so many fit, so many do not: a prompt of more examples is the longer one
            while high - low > 1:
                middle = (low + high) // 2
                found = laid(middle)
                if fits(found):
                    low, best = middle, found
                else:
                    high = middle
        self.kept[len(best[1]), len(shots)] += 1
        return best
