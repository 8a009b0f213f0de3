"""What the networks of all encoder-decoders share: sources in, hidden vectors of targets out.

B pairs, S tokens of the longest source, T of the longest target, D width, V vocabulary of targets.
"""

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

from lmkit.architectures.seq2seq import Seq2SeqConfig
from lmkit.nn.network import Network, State


class Seq2SeqNetwork(Network):
    """An encoder and a decoder. `embed_tokens` are the embeddings of targets.

    What lies behind the ends of sources and targets changes nothing before them.
    """

    settings: Seq2SeqConfig
    embed_tokens: nn.Embedding

    def tables(self) -> set[str]:
        """See `Network.tables`; none where a table is the head too."""
        return set() if self.settings.tied else {self.places[name].parameter for name in self.settings.tables()}

    @abstractmethod
    def encode(self, sources: Tensor, lengths: Tensor) -> Any:
        """What the decoder needs of sources, (B, S), of which (B,) tokens count."""

    @abstractmethod
    def decode(self, inputs: Tensor, memory: Any) -> Tensor:
        """Hidden vectors, (B, T, D), after inputs, (B, T): the start token and a target but its last token."""

    def hidden(self, sources: Tensor, lengths: Tensor, inputs: Tensor) -> Tensor:
        """Hidden vectors of targets given sources."""
        return self.decode(inputs, self.encode(sources, lengths))

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`; the state is what `encode` gave."""
        return self.decode(ids, state), state
