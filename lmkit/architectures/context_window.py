"""How much of a document a model sees at once. Imports nothing heavy: configs are counted without numpy."""

from typing import NamedTuple


class ContextWindow(NamedTuple):
    """What is seen of a document: at most T inputs, and windows that move on by S."""

    context: int
    stride: int

    def begin(self, place: int) -> int:
        """Return where among the inputs the window begins that scores the token at a place of a document."""
        beyond = max(0, place + 1 - self.context)
        return -(-beyond // self.stride) * self.stride
