"""A language model that is shown images, to train what joins both; see `architectures.captioner`.

B texts, N visual tokens, D numbers of each, T tokens of text, E numbers in an embedding, V vocabulary.
"""

import math

import torch
from torch import Tensor, nn

from lmkit.architectures.captioner import projection_shapes
from lmkit.architectures.neural_model import LoadedModel
from lmkit.checkpoint import Array
from lmkit.nn import factory
from lmkit.nn.network import Network, ParameterSlice, State, to_array, uniform
from lmkit.nn.transformer import TransformerNetwork


class CaptionerNetwork(Network):
    """W and b, which train, before a language model that stays as it is."""

    def __init__(self, language: LoadedModel, visual: int) -> None:
        super().__init__()
        body = factory.loaded(language)
        assert isinstance(body, TransformerNetwork)
        self.language: TransformerNetwork = body.requires_grad_(False)
        self.settings = self.language.settings
        self._starts = language.form.bos == "always"
        self._start = language.form.start
        self.projection = nn.Linear(visual, self.language.settings.width)
        shapes = projection_shapes(visual, self.language.settings.width)
        self.places = {name.removeprefix("projection."): ParameterSlice(name) for name in shapes}

    @property
    def device(self) -> torch.device:
        """See `Network.device`."""
        return self.projection.weight.device

    def initialise(self, generator: torch.Generator) -> None:
        """As long vectors as embeddings are, of inputs of length sqrt(D)."""
        table = self.language.embed_tokens.weight
        size = float(table.square().mean().sqrt())
        uniform(self.projection.weight, generator, size * math.sqrt(3.0 / self.projection.in_features))
        with torch.no_grad():
            self.projection.bias.copy_(table.mean(dim=0))

    def to_arrays(self) -> dict[str, Array]:
        """See `Network.to_arrays`: of W and b alone."""
        return {name: to_array(part) for name, part in self.projection.named_parameters()}

    def outputs(self, visual: Tensor, ids: Tensor) -> Tensor:
        """Logits of the token behind each place of a text, (B, 1 + T, V), the first behind the last visual token.

        visual  (B, N, D)
        ids     (B, T)
        """
        body, rows = self.language, len(ids)
        parts = [self.projection(visual), body.embed_tokens(ids)]
        if self._starts:
            first = torch.full((rows, 1), self._start, dtype=torch.int64, device=ids.device)
            parts.insert(0, body.embed_tokens(first))
        hidden = body.of_vectors(torch.cat(parts, dim=1))
        return body.logits(hidden[:, -(1 + ids.shape[1]) :])

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`: the language model's."""
        hidden, after = self.language(ids, state)
        return hidden, after

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`: the language model's."""
        return self.language.logits(hidden)
