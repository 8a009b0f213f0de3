"""Encoder-decoders from Python: targets of sources, written, scored and aligned."""

import os
from collections.abc import Iterable
from typing import Self, Unpack

from lmkit.commands.loading import models as opening
from lmkit.commands.options import standard
from lmkit.errors import CheckpointError, UsageError
from lmkit.interface.arguments import Name, Sampling, Text, bytes_of, checked
from lmkit.interface.language_model import LanguageModel
from lmkit.interface.opened import Opened
from lmkit.interface.results import Sample, Score
from lmkit.interface.session import session
from lmkit.interface.tokenizer import Tokenizer
from lmkit.io import streams
from lmkit.protocols import F32, I32, is_encoder_decoder
from lmkit.protocols import EncoderDecoder as Backend

CHOICES = {"temperature", "top_k", "top_p", "min_p", "typical", "epsilon", "eta", "greedy", "ancestral", "mirostat",
           "beam", "contrastive"}  # fmt: skip
"""Options that choose how tokens are: with none of them the most probable one is taken."""


class EncoderDecoder(Opened):
    """A model that writes a target for a source, such as a translation; in numpy."""

    def __init__(self, name: str, model: Backend, *, threads: int | None = None) -> None:
        super().__init__(name, model.kind)
        self._model, self._threads = model, threads

    @classmethod
    def load(cls, name: Name, *, threads: int | None = None) -> Self:
        """Return the encoder-decoder of a checkpoint or folder; see `lmkit.load`.

        Raises LmkitError where it can't be read or is of another kind.
        """
        path = os.fspath(name)
        checked("threads", threads, standard.Threads)
        with session():
            opened = opening.open_any(path)
        if not is_encoder_decoder(opened):
            raise CheckpointError(f"{streams.display(path)}: of kind {opened.kind}, not an encoder-decoder")
        return cls(path, opened, threads=threads)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of targets."""
        return Tokenizer(self.name, self._model.tokenizer)

    @property
    def source_tokenizer(self) -> Tokenizer:
        """The tokenizer of sources."""
        return Tokenizer(self.name, self._model.source_tokenizer)

    def sample(
        self, source: Text, *, number: int = 1, max_tokens: int = 100, seed: int = 0, window: bool = False,
        **sampling: Unpack[Sampling],
    ) -> list[Sample]:  # fmt: skip
        """Return `number` targets of a source, the same as `lmkit sample --json` with the same seed; greedy by default.

        `sampling` are those of `LanguageModel.sample`. Raises UsageError for values out of range.
        """
        if number == 1 and not CHOICES.intersection(sampling):
            sampling["greedy"] = True
        writer = LanguageModel(self.name, self._model.given(self._model.source_ids(b"")), threads=self._threads)
        return writer.sample(source, number=number, max_tokens=max_tokens, seed=seed, window=window, **sampling)

    def score(self, source: Text, target: Text, *, eos: bool = True) -> Score:
        """Return the log-probability of a target given its source, as `lmkit score --pairs --json` prints it."""
        return self.score_many([(source, target)], eos=eos)[0]

    def score_many(self, pairs: Iterable[tuple[Text, Text]], *, eos: bool = True) -> list[Score]:
        """Return the log-probability of each of several targets given its source; see `score`."""
        several = [(self._source(source), bytes_of(target)) for source, target in pairs]
        parts = {**self._model.signature, "eos": "yes" if eos else "no", "unknown": "scored"}
        signature = "|".join(f"{key}:{value}" for key, value in parts.items())
        targets = [self._target(target, eos=eos) for _, target in several]
        with session():
            found = self._model.score_pairs([source for source, _ in several], targets)
        return [
            Score(target.decode(errors="replace"), float(nats.sum()), len(nats), signature)
            for (_, target), nats in zip(several, found, strict=True)
        ]

    def alignment(self, source: Text, target: Text) -> F32:
        """Return the weights of cross-attention, (layers, heads, targets, sources), special tokens included.

        Raises CheckpointError where the model has no attention to its source.
        """
        with session():
            return self._model.alignment(self._source(source), self._target(bytes_of(target), eos=True))

    def _source(self, text: Text) -> I32:
        return self._model.source_ids(bytes_of(text))

    def _target(self, text: bytes, *, eos: bool) -> I32:
        import numpy as np

        if b"\n" in text:
            raise UsageError("a target of several lines, expected one line")
        end = np.array([self._model.form.newline_id] if eos else [], dtype=np.int32)
        return np.concatenate((self._model.tokenizer.encode(text), end))
