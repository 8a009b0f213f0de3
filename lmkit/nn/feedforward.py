"""The feed-forward n-gram model of Bengio et al. (2003); see `architectures.feedforward`.

B batch, T time, n context, D width, H hidden, V vocabulary.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmkit.architectures.feedforward import FFNConfig
from lmkit.nn.network import Network, ParameterSlice, normal, uniform


class FeedForwardNetwork(Network):
    """y = b + W x + U tanh(d + H x), x the embeddings of the n tokens before, end to end."""

    def __init__(self, settings: FFNConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.settings: FFNConfig = settings
        self.places = {name: ParameterSlice(name) for name in settings.shapes()}
        seen = settings.context * settings.width
        self.embed_tokens = nn.Embedding(settings.vocabulary, settings.width)
        self.hidden = nn.Linear(seen, settings.hidden)
        self.lm_head = nn.Linear(settings.hidden, settings.vocabulary)
        self.direct = nn.Linear(seen, settings.vocabulary, bias=False) if settings.direct else None
        self.dropout = dropout

    def initialise(self, generator: torch.Generator) -> None:
        """Embeddings of deviation 1, evenly spread hidden weights, a head of zeros: at first all tokens are alike."""
        normal(self.embed_tokens.weight, generator, 1.0)
        uniform(self.hidden.weight, generator, math.sqrt(3.0 / self.hidden.in_features))
        for zero in (self.hidden.bias, self.lm_head.weight, self.lm_head.bias):
            nn.init.zeros_(zero)
        if self.direct is not None:
            nn.init.zeros_(self.direct.weight)

    def initial(self, rows: int, start: int) -> Tensor:
        """The last n - 1 tokens before the text, (B, n - 1): start tokens."""
        device = self.embed_tokens.weight.device
        return torch.full((rows, self.settings.context - 1), start, dtype=torch.long, device=device)

    def forward(self, ids: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `Network.forward`; the hidden vectors are x, (B, T, n D)."""
        context, width = self.settings.context, self.settings.width
        assert state is not None, "the tokens before the text are the state"
        seen = torch.cat((state, ids), dim=1)  # (B, n - 1 + T)
        embedded = self.embed_tokens(seen)  # (B, n - 1 + T, D)
        windows = embedded.unfold(1, context, 1).transpose(2, 3)  # (B, T, n, D)
        hidden = windows.reshape(*ids.shape, context * width)
        return hidden, seen[:, seen.shape[1] - (context - 1) :]

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`."""
        inner = torch.tanh(self.hidden(hidden))
        if self.dropout and self.training:
            inner = functional.dropout(inner, self.dropout)
        logits: Tensor = self.lm_head(inner)
        return logits if self.direct is None else logits + self.direct(hidden)
