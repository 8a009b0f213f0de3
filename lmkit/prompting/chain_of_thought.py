r"""Prompts that show how an answer comes about: chains of thought (Wei et al. 2022; Kojima et al. 2022).

Knows GSM8K's records too, whose answer has the reasoning, marks of a calculator and `#### ` before the result
(Cobbe et al. 2021): "48/2 = <<48/2=24>>24 clips.\n#### 24".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmkit.prompting.examples import Example
from lmkit.prompting.layout import Prompt, open_ended

RESULT = "####"
_MARK = re.compile(r"<<[^<>\n]*>>")
SLOT = "{}"
"""The slot of the output in a conclusion."""


def told_apart(example: Example, *, keep_marks: bool = False) -> Example:
    """The example with its reasoning: that of its record, or of an output as GSM8K has it; none where neither has."""
    output, reasoning = example.output, example.record.get("reasoning")
    if not isinstance(reasoning, str):
        reasoning = None
    if output is not None and reasoning is None and RESULT in output:
        told, _, result = output.rpartition(RESULT)
        output, reasoning = result.strip(), told.strip()
    if reasoning is not None and not keep_marks:
        reasoning = _MARK.sub("", reasoning)
    return replace(example, output=output, reasoning=reasoning)


@dataclass(frozen=True)
class ReasoningLayout:
    r"""instruction \n example, ..., item; an example is question, input, answer, reasoning, a space, conclusion.

    Without `reasoning` an example has its conclusion only, which is standard prompting. Without examples the item
    has the `trigger` behind it, which asks for reasoning.
    """

    reasoning: bool = True
    instruction: str = ""
    question: str = "Q: "
    answer: str = "\nA: "
    conclusion: str = "The answer is {}."
    example_sep: str = "\n\n"
    trigger: str = "Let's think step by step."

    def lay(self, shots: Sequence[Example], item: Example) -> Prompt:
        """See `layout.Layable.lay`."""
        end = self.trigger if self.reasoning and not shots else ""
        text = self.example_sep.join([*map(self._shown, shots), f"{self.question}{item.input}{self.answer}{end}"])
        return open_ended(f"{self.instruction}\n{text}" if self.instruction else text)

    def _shown(self, shot: Example) -> str:
        conclusion = self.conclusion.replace(SLOT, shot.output or "")
        told = f"{shot.reasoning} " if self.reasoning and shot.reasoning else ""
        return f"{self.question}{shot.input}{self.answer}{told}{conclusion}"
