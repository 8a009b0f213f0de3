"""A body with a head for a task, as one network to train: all of it, some layers, the head, or low-rank adapters.

B items, T tokens of the longest, N tokens of all, D width, K outputs.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from lmkit.architectures.adapters import Adapter
from lmkit.architectures.heads import FIRST, LAST, TAG, TaskHead
from lmkit.label_chain import LabelChain
from lmkit.nn.encoder import EncoderNetwork
from lmkit.nn.network import Network, ParameterSlice, State, normal
from lmkit.nn.recurrent import RecurrentNetwork

Tensors = Mapping[str, Tensor]
CHAIN = ("transitions", "starts", "ends")
"""The parts of a conditional random field; see `label_chain.LabelChain`."""
HEAD_SCALE = 10.0
"""What the head's numbers are multiplied by: a new head so learns faster than the body at the same rate."""


class States(nn.Module):
    """The states of a body at the tokens of items, laid end to end without padding."""

    def __init__(self, body: Network, start: int) -> None:
        super().__init__()
        self.body, self._start = body, start

    def forward(self, ids: Tensor, segments: Tensor, lengths: Tensor) -> Tensor:
        """From (B, T) ids, of which (B,) count, to (N, D): padding behind an item changes none of its states."""
        inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        if isinstance(self.body, EncoderNetwork):
            return self.body.hidden(ids[inside], segments[inside], lengths=lengths.tolist())
        if isinstance(self.body, RecurrentNetwork):
            hidden = self.body.states(ids, lengths, self._start)
        else:
            hidden, _ = self.body(ids, self.body.initial(len(ids), self._start))
        found: Tensor = hidden[inside]
        return found


class SupervisedNetwork(Network):
    """A body, a head, and adapters where there are any; `outputs` runs them.

    `trained` names tensors of the body that change; no other one does. Without `head_bias` that bias stays zero.
    Adapters are added to matrices of the body: W + (alpha / r) B A.
    """

    def __init__(
        self, body: Network, head: TaskHead, *, trained: Collection[str], adapter: Adapter | None = None,
        start: int = 0, dropout: float = 0.0, head_bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.settings, self.task, self.adapter, self.dropout = body.settings, head, adapter, dropout
        self.states = States(body, start)
        self.head = nn.Linear(head.width, head.outputs)
        self.head.bias.requires_grad_(head_bias)
        self.chain = nn.ParameterDict()
        self.lora = nn.ParameterDict()
        self.places = {f"head.{part}": ParameterSlice(f"head.{part}") for part in ("weight", "bias")}
        for part in CHAIN if head.crf else ():
            self.chain[part] = nn.Parameter(torch.empty(head.shapes()[f"head.{part}"]))
            self.places[f"head.{part}"] = ParameterSlice(f"chain.{part}")
        for name, shape in (adapter.shapes(body.settings) if adapter is not None else {}).items():
            own = name.replace(".", "/")
            self.lora[own] = nn.Parameter(torch.empty(shape))
            self.places = {**self.places, name: ParameterSlice(f"lora.{own}")}
        moved = {body.places[name].parameter for name in trained}
        for name, parameter in body.named_parameters():
            parameter.requires_grad_(name in moved)
        kept = {name: place for name, place in body.places.items() if place.parameter in moved}
        self.places |= {
            name: place._replace(parameter=f"states.body.{place.parameter}") for name, place in kept.items()
        }

    @property
    def device(self) -> torch.device:
        """See `Network.device`."""
        return self.head.weight.device

    def initialise(self, generator: torch.Generator) -> None:
        """A head of zeros; adapters A of deviation 1/sqrt r and B of zeros, which change nothing. Hu et al. (2021)."""
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        for tensor in self.chain.values():
            nn.init.zeros_(tensor)
        for name, tensor in self.lora.items():
            if name.endswith("lora_a"):
                normal(tensor, generator, tensor.shape[1] ** -0.5)
            else:
                nn.init.zeros_(tensor)

    def matrices(self) -> dict[str, list[int]]:
        """See `Network.matrices`: none, since fine-tuning moves all tensors by AdamW."""
        return {}

    def _adapted(self) -> dict[str, Tensor]:
        """The parameters of `states` that adapters change, with these added."""
        assert self.adapter is not None
        body = self.states.body
        own = dict(body.named_parameters())
        parts: dict[str, list[tuple[int, Tensor]]] = {}
        for name in self.adapter.matrices(body.settings):
            place, key = body.places[name], name.replace(".", "/")
            change = (self.adapter.alpha / self.adapter.rank) * (
                self.lora[f"{key}/lora_b"] @ self.lora[f"{key}/lora_a"]
            )
            parts.setdefault(place.parameter, []).append((place.begin, change))
        changed = {}
        for name, changes in parts.items():
            whole = own[name]
            padded = [
                functional.pad(change, (0, 0, begin, len(whole) - begin - len(change))) for begin, change in changes
            ]
            changed[f"body.{name}"] = whole + torch.stack(padded).sum(dim=0)
        return changed

    def outputs(self, batch: Tensors) -> Tensor:
        """Numbers of the head: (B, K), or of a tagger (W, K) for the tokens whose target counts."""
        ids, lengths = batch["ids"], batch["lengths"]
        inputs = (ids, batch["segments"], lengths)
        hidden = functional_call(self.states, self._adapted(), inputs) if self.adapter else self.states(*inputs)
        if self.task.task == TAG:
            inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
            pooled = hidden[batch["words"][inside] > 0]
        else:
            pooled = self._pooled(hidden, lengths, batch["starts"])
        if self.dropout and self.training:
            pooled = functional.dropout(pooled, self.dropout)
        found: Tensor = HEAD_SCALE * self.head(pooled)
        return found

    def chain_losses(self, emissions: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
        """-ln p of the labels, (W,), of sentences of so many words, (B,), under `outputs`, (W, K): (B,).

        See `label_chain`. Sentences without words have 0.
        """
        ways, starts, ends = (HEAD_SCALE * self.chain[part] for part in CHAIN)
        kept = lengths > 0
        lengths = lengths[kept]
        inside = torch.arange(int(lengths.max()) if len(lengths) else 0, device=lengths.device) < lengths[:, None]
        x = emissions.new_zeros((*inside.shape, emissions.shape[1]))
        y = labels.new_zeros(inside.shape)
        x[inside], y[inside] = emissions, labels
        last = y.gather(1, lengths[:, None] - 1)[:, 0] if len(lengths) else y.new_zeros(0)
        score = (x.gather(2, y[..., None])[..., 0] * inside).sum(dim=1) + starts[y[:, :1]].sum(dim=1) + ends[last]
        score = score + (ways[y[:, :-1], y[:, 1:]] * inside[:, 1:]).sum(dim=1)
        reached = starts + x[:, 0] if len(lengths) else score
        for place in range(1, x.shape[1]):
            step = torch.logsumexp(reached[:, :, None] + ways, dim=1) + x[:, place]
            reached = torch.where(inside[:, place, None], step, reached)
        losses = emissions.new_zeros(len(kept))
        losses[kept] = torch.logsumexp(reached + ends, dim=1) - score if len(lengths) else score
        return losses

    def label_chain(self) -> LabelChain:
        """The conditional random field as it now is."""
        with torch.no_grad():
            return LabelChain(*((HEAD_SCALE * self.chain[part]).double().cpu().numpy() for part in CHAIN))

    def _pooled(self, hidden: Tensor, lengths: Tensor, starts: Tensor) -> Tensor:
        ends = lengths.cumsum(0)
        if self.task.pooling == LAST:
            return hidden[ends - 1]
        if self.task.pooling == FIRST:
            first = hidden[ends - lengths]
            body = self.states.body
            return body.pooled(first) if isinstance(body, EncoderNetwork) and body.settings.pooler else first
        owners = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        place = torch.arange(len(owners), device=owners.device) - (ends - lengths)[owners]
        counted = (place >= starts[owners]).to(hidden.dtype)
        sums = hidden.new_zeros(len(lengths), hidden.shape[1]).index_add(0, owners, hidden * counted[:, None])
        return sums / (lengths - starts).clamp(min=1)[:, None]

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """See `Network.forward`: the body's, without adapters."""
        hidden, after = self.states.body(ids, state)
        return hidden, after

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Network.logits`: the head's."""
        found: Tensor = HEAD_SCALE * self.head(hidden)
        return found


def trained_tensors(body: Network, mode: str, layers: tuple[int, int] | None = None) -> set[str]:
    """The tensors of a body that train: of `all` all, of `layers` those of some layers, from 0, else none."""
    if mode == "all":
        return set(body.places)
    if mode != "layers" or layers is None:
        return set()
    first, last = layers
    found = [name for name in body.places if name.startswith("layers.")]
    return {name for name in found if first <= int(name.split(".")[1]) <= last}
