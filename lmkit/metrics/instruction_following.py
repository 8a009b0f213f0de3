"""How often answers follow their instructions: by prompt and by instruction, strictly and loosely.

prompt_strict        share of prompts all of whose instructions are followed; of answers as they are
instruction_strict   share of instructions that are followed
prompt_loose, instruction_loose   the same of answers as loose checks see them (`instruction_checks`)

Intervals draw prompts again, each with all of its instructions. Zhou et al. (2023). N prompts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmkit.metrics.bootstrap import Sampling, least_p
from lmkit.metrics.comparison import Comparison, Sample, of_samples
from lmkit.metrics.instruction_checks import Instruction
from lmkit.protocols import F64, I64

MEASURES = ("prompt_strict", "instruction_strict", "prompt_loose", "instruction_loose")


@dataclass(frozen=True)
class Followed:
    """Which instructions the answer to one prompt follows, strictly and loosely; one of each per instruction."""

    strict: Sequence[bool]
    loose: Sequence[bool]


def followed(answer: str, instructions: Sequence[Instruction]) -> Followed:
    """Check an answer."""
    strict = [one.follows(answer) for one in instructions]
    return Followed(
        strict, [known or one.follows(answer, loose=True) for known, one in zip(strict, instructions, strict=True)]
    )


def compare(systems: Sequence[Sequence[Followed]], sampling: Sampling) -> Comparison:
    """MEASURES of one system or of two, of the same N prompts in order."""
    ones = np.ones(len(systems[0]), dtype=np.int64)
    tables = [_table(one) for one in systems]

    def sample(table: F64) -> Sample:
        values = {name: float(value[0]) for name, value in _measured(table, ones[None]).items()}
        return Sample(values, lambda counts: _measured(table, counts), ones)

    least = {}
    if len(tables) == 2:
        differing = (tables[0] != tables[1]).any(axis=1).sum()
        least = dict.fromkeys(MEASURES, least_p(int(differing)))
    return of_samples([sample(table) for table in tables], sampling, least)


def _table(items: Sequence[Followed]) -> F64:
    """Of each prompt whether all is followed and how much, strictly and loosely, and how many there are, (N, 5)."""
    return np.array(
        [[all(one.strict), sum(one.strict), all(one.loose), sum(one.loose), len(one.strict)] for one in items],
        dtype=np.float64,
    )


def _measured(table: F64, counts: I64) -> Mapping[str, F64]:
    """MEASURES of prompts that come so many times, (B, N) to (B,) each."""
    sums = counts @ table
    prompts = counts.sum(axis=1)
    return {
        "prompt_strict": sums[:, 0] / prompts, "instruction_strict": sums[:, 1] / sums[:, 4],
        "prompt_loose": sums[:, 2] / prompts, "instruction_loose": sums[:, 3] / sums[:, 4],
    }  # fmt: skip


def by_kind(items: Sequence[Followed], instructions: Sequence[Sequence[Instruction]]) -> dict[str, dict[str, float]]:
    """Shares that are followed of each kind of instruction, `strict` and `loose`, and how many there are."""
    found: dict[str, list[tuple[bool, bool]]] = {}
    for item, several in zip(items, instructions, strict=True):
        for one, strict, loose in zip(several, item.strict, item.loose, strict=True):
            found.setdefault(one.kind, []).append((strict, loose))
    return {
        kind: {
            "strict": sum(a for a, _ in some) / len(some),
            "loose": sum(b for _, b in some) / len(some),
            "n": len(some),
        }
        for kind, some in sorted(found.items())
    }
