"""How a prompt is laid out: an instruction, examples, and the item that is asked about. Knows no models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from lmkit.prompting.examples import Example


class Prompt(NamedTuple):
    """A prompt, which ends in no space, and the `joint`: the separator between it and an answer."""

    text: str
    joint: str


class PromptLayout(Protocol):
    """Puts examples and an item into a prompt."""

    def lay(self, shots: Sequence[Example], item: Example) -> Prompt:
        """The prompt with these examples in this order; the spaces and tabs that end it become the joint."""


def open_ended(text: str) -> Prompt:
    """A prompt whose answer comes at its end: spaces and tabs there are the joint, a line end stays."""
    kept = text.rstrip(" \t")
    return Prompt(kept, text[len(kept) :])


@dataclass(frozen=True)
class Layout:
    r"""Separators between the parts: instruction \n example, example, ..., item; an example is input, sep, output."""

    instruction: str = ""
    sep: str = " => "
    example_sep: str = "\n"

    def lay(self, shots: Sequence[Example], item: Example) -> Prompt:
        """See `PromptLayout.lay`; an example without an output is its input alone."""
        parts = [shot.input if shot.output is None else f"{shot.input}{self.sep}{shot.output}" for shot in shots]
        text = self.example_sep.join([*parts, item.input + self.sep])
        return open_ended(f"{self.instruction}\n{text}" if self.instruction else text)
