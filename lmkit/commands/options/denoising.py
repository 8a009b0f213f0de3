"""Options of denoising: spans that sentinels replace, and BART's noises."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.options.standard import choice
from lmkit.errors import UsageError

if TYPE_CHECKING:
    from lmkit.protocols import Tokenizer
    from lmkit.training.denoising_batches import Corruption

PAIRS, SPANS, NOISE = OBJECTIVES = ("pairs", "spans", "noise")
RATES = {SPANS: 0.15, NOISE: 0.3}
DENOISING = ("objective", "rate", "mean_length", "sentinels", "kind")
"""Names of the options of pre-training an encoder-decoder."""

KINDS = ("mask", "delete", "infill", "permute", "rotate")
"""Those of `data.denoising`, which help does not load."""

CorruptionRate = Annotated[
    float,
    typer.Option("--rate", metavar="P", min=0.0, max=1.0, help="Corruption rate: share of the tokens that is changed."),
]
MeanLength = Annotated[
    float, typer.Option("--mean-length", metavar="X", min=1.0, help="Mean span length, in tokens, of the spans.")
]
Sentinels = Annotated[
    int,
    typer.Option(
        "--sentinels", metavar="N", min=0, max=10_000,
        help="Number of sentinels for span corruption, special tokens `<extra_id_0>`, `<extra_id_1>`, ... T5 has 100.",
    ),
]  # fmt: skip
NoiseKinds = Annotated[
    str,
    typer.Option(
        "--kind", metavar="LIST",
        help="Kinds of noise in the order in which they are applied, of `mask`, `delete`, `infill`, `permute` and "
        "`rotate`.",
    ),
]  # fmt: skip


def noise_kinds(text: str) -> tuple[str, ...]:
    """Return the kinds that are listed. Raises UsageError."""
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise UsageError(f"--kind {text!r}: {unknown[0]!r} is not one of {', '.join(KINDS)}", hint="--kind infill")
    return names


@dataclass(frozen=True)
class DenoisingOptions:
    """What an encoder-decoder learns from: pairs, or texts that are corrupted anew in each epoch."""

    objective: Annotated[
        str,
        typer.Option(
            "--objective", metavar="NAME", callback=choice(*OBJECTIVES),
            help="Objective: targets of `pairs`, or pre-training on lines of text: `spans` that sentinels replace "
            "(T5), or the text behind `noise` (BART).",
        ),
    ] = PAIRS  # fmt: skip
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", metavar="P", min=0.0, max=1.0, show_default="0.15; 0.3 for noise",
            help="Corruption rate: share of the tokens that is changed.",
        ),
    ] = None  # fmt: skip
    mean_length: MeanLength = 3.0
    sentinels: Sentinels = 100
    kind: NoiseKinds = "infill"

    @property
    def on_texts(self) -> bool:
        """Whether what is learned from are texts, not pairs."""
        return self.objective != PAIRS

    def check(self, given: Collection[str]) -> None:
        """Raises UsageError for options of another objective."""
        own = {PAIRS: (), SPANS: ("rate", "mean_length", "sentinels"), NOISE: ("rate", "mean_length", "kind")}
        wrong = [name for name in DENOISING[1:] if name in given and name not in own[self.objective]]
        if wrong:
            needed = " or ".join(f"--objective {name}" for name, names in own.items() if wrong[0] in names)
            raise UsageError(f"--{wrong[0].replace('_', '-')} is for {needed}")
        if self.objective == SPANS and self.sentinels < 2:
            raise UsageError(f"--sentinels {self.sentinels}: a text with one span has 2")
        noise_kinds(self.kind)

    def special(self) -> list[bytes]:
        """The special tokens of a tokenizer that is learned for this."""
        from lmkit.data.encoder_sequences import ROLES
        from lmkit.data.span_corruption import sentinel

        if self.objective == NOISE:
            return [ROLES["mask"][1]]
        return [sentinel(number).encode() for number in range(self.sentinels)]

    def corruption(self, tokenizer: "Tokenizer") -> "Corruption":
        """What is done to texts in a tokenizer's ids. Raises CheckpointError where it has no tokens for it."""
        rate = RATES[self.objective] if self.rate is None else self.rate
        if self.objective == NOISE:
            from lmkit.data.denoising import Denoising

            return Denoising.of(tokenizer, noise_kinds(self.kind), rate, self.mean_length)
        from lmkit.data.span_corruption import SpanCorruption

        found = SpanCorruption.of(tokenizer, rate, self.mean_length)
        return SpanCorruption(found.sentinels[: self.sentinels], rate, self.mean_length)
