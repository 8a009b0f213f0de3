"""What the user of `lmkit entropy` asked for, which options go together, and the shape of every answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.commands.options.standard import Run
from lmkit.errors import UsageError
from lmkit.io import streams
from lmkit.io.records import Table


@dataclass(frozen=True)
class EntropyRequest:
    """What the user asked for."""

    run: Run
    inputs: Sequence[str]
    unit: str
    order: int
    correction: str
    errors: str
    normalize: bool
    model: str | None
    unit_of: str | None
    against: str | None
    add: float
    compare: str | None
    window: int | None
    step: int | None
    memory: str | None
    temp_dir: str | None
    json: bool
    bare: bool

    def check(self, mode: str, step: int | None) -> None:
        """Raises UsageError for an option that the mode has no use for."""
        given = {
            "--normalize": self.normalize, "-m": self.model is not None, "--unit-of": self.unit_of is not None,
            "--order": self.order > 0, "--against": self.against is not None, "--add": self.add > 0,
            "--compare": self.compare is not None, "--correction": self.correction != "none",
            "--window": self.window is not None, "--step": step is not None,
        }  # fmt: skip
        for option in given:
            if given[option] and option not in TAKEN[mode]:
                raise UsageError(f"{option} does not go with {NAMES[mode]}")
        if self.correction != "none" and self.against is not None:
            raise UsageError("--correction is of one sample; it does not go with --against")
        if self.unit_of == "token" and self.model is None:
            raise UsageError("tokens need a tokenizer", hint="-m MODEL names a checkpoint that has one")
        if self.window is not None and self.window <= self.order:
            raise UsageError(f"--window {self.window} has no symbol with {self.order} before it, as --order wants")
        if step is not None and self.window is None:
            raise UsageError("--step goes with --window N")

    def information(self, bits: float) -> float:
        """An amount in the unit asked for."""
        from lmkit.information.measures import in_unit

        return in_unit(bits, self.unit)

    def answer(self, bits: float) -> dict[str, Any]:
        """What every answer begins with."""
        from lmkit.information.measures import perplexity

        return {"entropy": self.information(bits), "unit": self.unit, "perplexity": perplexity(bits)}

    def pair(self, pair: Any) -> dict[str, Any]:
        """The answer about two distributions."""
        from lmkit.information.measures import entropy

        figures = {key: self.information(bits) for key, bits in pair.figures().items()}
        return {**self.answer(entropy(pair.p)), **figures}


def tell_infinite(asked: EntropyRequest, pair: Any) -> None:
    """Says what makes a divergence infinite, and what makes it finite."""
    import math

    if math.isinf(pair.figures()["divergence"]):
        asked.run.terminal.notice(
            f"the divergence is infinite: {streams.display(str(asked.against))} lacks symbols of the text; "
            "--add 1 adds 1 to each count of both"
        )


TAKEN = {
    "probs": {"--normalize", "--against"},
    "counts": {"--correction", "--against", "--add"},
    "joint": {"--normalize"},
    "model": {"-m"},
    "against": {"-m", "--unit-of", "--against", "--add"},
    "window": {"-m", "--unit-of", "--order", "--window", "--step", "--correction"},
    "text": {"-m", "--unit-of", "--order", "--step", "--compare", "--correction"},  # of --step more is said
}
NAMES = {
    "probs": "--probs", "counts": "--counts", "joint": "--joint", "model": "-m without --unit-of token",
    "against": "--against", "window": "--window", "text": "a text",
}  # fmt: skip


def show(asked: EntropyRequest, out: streams.Output, record: dict[str, Any], bare: str = "entropy") -> None:
    """Prints an answer of one record, or only its number named `bare`."""
    if asked.bare:
        out.line(repr(record[bare]))
    else:
        Table(out, list(record), as_json=asked.json).row(record)


def correction(asked: EntropyRequest, bits: float) -> dict[str, Any]:
    """The correction's name, and what the entropy is without it."""
    if asked.correction == "none":
        return {}
    return {"correction": asked.correction, "uncorrected": asked.information(bits)}
