"""How a prompt is laid out: an instruction, examples, and the item that is asked about. Knows no models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lmkit.using.prompting.examples import Example


class Laid(NamedTuple):
    """A prompt, which ends in no space, and the `joint`: what stands between it and an answer."""

    text: str
    joint: str


@dataclass(frozen=True)
class Layout:
    r"""What stands between the parts: instruction \n example, example, ..., item; an example is input, sep, output."""

    instruction: str = ""
    sep: str = " => "
    example_sep: str = "\n"

    def lay(self, shots: Sequence[Example], item: Example) -> Laid:
        """The prompt with these examples in this order; the spaces that end it become the joint."""
        open_end = item.input + self.sep
        kept = open_end.rstrip(" \t")
        parts = [shot.input if shot.output is None else f"{shot.input}{self.sep}{shot.output}" for shot in shots]
        text = self.example_sep.join([*parts, kept])
        return Laid(f"{self.instruction}\n{text}" if self.instruction else text, open_end[len(kept) :])
