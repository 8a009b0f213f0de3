"""ELECTRA's two encoders: a small generator, and the discriminator that is kept. Clark et al. (2020).

They share the embeddings of tokens, positions and segments.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lmkit.architectures.encoder import EncoderConfig
from lmkit.checkpoint import Array
from lmkit.errors import UsageError
from lmkit.nn.encoder import EncoderNetwork
from lmkit.nn.network import Network, ParameterSlice, State

GENERATOR_SHARE = 4
"""How many times the heads, and so the width, of the discriminator are those of the generator."""
KEPT = "discriminator."
_SHARED = ("embed_tokens.weight", "embed_positions.weight", "embed_segments.weight")


def generator_config(settings: EncoderConfig) -> EncoderConfig:
    """Return the settings of a discriminator's generator: as deep, with a quarter of its heads and of its width."""
    heads = max(1, settings.heads // GENERATOR_SHARE)
    width = heads * settings.head_width
    return replace(
        settings, heads=heads, width=width, hidden=max(1, settings.hidden * width // settings.width), task="mlm",
        embedding=0 if width == settings.embedding_width else settings.embedding_width, tied=True, pooler=False,
    )  # fmt: skip


class ElectraNetwork(Network):
    """Both encoders; as a network it is the discriminator."""

    settings: EncoderConfig

    def __init__(self, settings: EncoderConfig, dropout: float = 0.0) -> None:
        """`settings` are the discriminator's."""
        super().__init__()
        if settings.task != "discriminator":
            raise UsageError(f"a head of kind {settings.task!r} is not a discriminator")
        self.settings: EncoderConfig = settings
        self.discriminator = EncoderNetwork(settings, dropout)
        self.generator = EncoderNetwork(generator_config(settings), dropout)
        self.embed_tokens = self.discriminator.embed_tokens
        self.generator.embed_tokens = self.discriminator.embed_tokens
        self.generator.embed_positions = self.discriminator.embed_positions
        self.generator.embed_segments = self.discriminator.embed_segments
        self.places = {
            f"{part}.{name}": ParameterSlice(f"{part}.{place.parameter}", place.begin, place.end)
            for part, network in (("discriminator", self.discriminator), ("generator", self.generator))
            for name, place in network.places.items()
            if part == "discriminator" or name not in _SHARED
        }

    def initialise(self, generator: torch.Generator) -> None:
        """See `Network.initialise`."""
        self.generator.initialise(generator)
        self.discriminator.initialise(generator)

    def matrices(self) -> dict[str, list[int]]:
        """See `Network.matrices`."""
        parts = {"discriminator": self.discriminator, "generator": self.generator}
        return {f"{name}.{own}": rows for name, part in parts.items() for own, rows in part.matrices().items()}

    def compile_parts(self, **options: Any) -> bool:
        """See `Network.compile_parts`."""
        return all(part.compile_parts(**options) for part in (self.discriminator, self.generator))

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`."""
        hidden: tuple[Tensor, State] = self.discriminator(ids, state)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits that tokens were replaced, (...,), of hidden vectors, (..., D)."""
        return self.discriminator.discriminator_logits(hidden)


def kept_tensors(arrays: dict[str, Array]) -> dict[str, Array]:
    """Return the discriminator's weights out of both networks', under its own names."""
    return {name.removeprefix(KEPT): array for name, array in arrays.items() if name.startswith(KEPT)}
