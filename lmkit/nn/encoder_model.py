"""An encoder in torch: for many texts, and for devices beside the CPU."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from lmkit.architectures.encoder_model import EncoderBase, LoadedEncoder
from lmkit.nn import factory
from lmkit.nn.encoder import EncoderNetwork
from lmkit.nn.language_model import device_named
from lmkit.protocols import F32, I32

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class TorchEncoder(EncoderBase):
    """An encoder in torch.

    precision  of products of matrices: `fp32`, or `bf16`, where norms and the residual stream stay in float32
    """

    def __init__(self, weights: LoadedEncoder, *, device: str = "cpu", precision: str = "fp32") -> None:
        super().__init__(weights)
        network = factory.loaded(weights).eval().requires_grad_(False)
        assert isinstance(network, EncoderNetwork)
        self._device, self._precision = device_named(device), precision
        self._network = network.to(self._device)
        if precision != "fp32":
            network.cast_products(PRECISIONS[precision])

    @property
    def signature(self) -> Mapping[str, str]:
        """See `Encoder.signature`; with the device and the precision, where they are not the usual."""
        own = {"device": self._device.type} if self._device.type != "cpu" else {}
        return {**super().signature, **own, **({"precision": "bf16"} if self._precision == "bf16" else {})}

    @torch.inference_mode()
    def hidden_states(self, ids: I32, segments: I32, lengths: Sequence[int]) -> F32:
        """See `Encoder.hidden_states`."""
        found = self._network.hidden(self._tensor(ids), self._tensor(segments), lengths=lengths)
        hidden: F32 = found.float().cpu().numpy()
        return hidden

    @torch.inference_mode()
    def log_probabilities(self, hidden: F32) -> F32:
        """See `Encoder.log_probabilities`."""
        self.check_fills()
        logits = self._network.mlm_logits(torch.from_numpy(hidden).to(self._device)).float()
        nats: F32 = torch.log_softmax(logits, dim=-1)[:, : self.tokenizer.size].cpu().numpy()
        return nats

    def _tensor(self, ids: I32) -> Tensor:
        return torch.from_numpy(np.asarray(ids, dtype=np.int64)).to(self._device)
