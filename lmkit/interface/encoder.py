"""Encoders from Python: masks filled, sentences embedded, pseudo-log-likelihoods."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from lmkit.commands.fill import spelled
from lmkit.commands.loading import encoders
from lmkit.commands.loading import models as opening
from lmkit.commands.options import standard
from lmkit.errors import DataError, UsageError
from lmkit.interface.arguments import Name, Text, bytes_of, checked
from lmkit.interface.opened import Opened
from lmkit.interface.results import FilledToken
from lmkit.interface.session import session
from lmkit.interface.tokenizer import Tokenizer
from lmkit.protocols import F32

if TYPE_CHECKING:
    from lmkit.inference.encoder import EncoderModel
    from lmkit.protocols import Encoder as Backend


class Encoder(Opened):
    """A model that reads texts both ways: in numpy for a few, with PyTorch for many where it is installed."""

    def __init__(self, name: str, model: "EncoderModel", *, device: str = "cpu", threads: int | None = None) -> None:
        super().__init__(name, model.kind)
        self._model, self._device, self._threads = model, device, threads
        self._backend: encoders.EncoderBackend | None = None

    @classmethod
    def load(cls, name: Name, *, device: str = "cpu", threads: int | None = None) -> Self:
        """Return the encoder of a checkpoint or folder; see `lmkit.load`.

        Raises LmkitError where it can't be read or is of another kind.
        """
        path = os.fspath(name)
        checked("device", device, standard.Device)
        checked("threads", threads, standard.Threads)
        with session():
            opened = encoders.require_encoder(opening.open_any(path), path)
        return cls(path, opened, device=device, threads=threads)

    @property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer."""
        return Tokenizer(self.name, self._model.tokenizer)

    @property
    def context_length(self) -> int:
        """The most tokens of a text, special ones too."""
        return self._model.context

    def fill(self, text: Text, *, top: int = 5, window: bool = False) -> list[list[FilledToken]]:
        """Return the most probable tokens for each mask of a text, as `lmkit fill` prints them.

        `[MASK]` is a mask to every model. `window` reads only the tokens around each mask of a text that is too long.
        Raises DataError for a text without a mask, or too long.
        """
        from lmkit.evaluation import masked_places
        from lmkit.evaluation.perplexity import probability

        if type(top) is not int or top < 1:
            raise UsageError(f"top: {top} is out of range, expected at least 1")
        data = bytes_of(text)
        with session():
            model = self._for_bytes(len(data))
            with opening.error_context(self.name):
                self._model.check_fills()
                mask = model.tokenizer.piece(model.form.mask_token)
            tokenizer = model.tokenizer.with_specials()
            places = masked_places.masked_text(
                model, tokenizer.encode(spelled(data, tokenizer, mask)), window=window
            )  # fmt: skip
            found = masked_places.fill(model, places, top)
        piece = model.tokenizer.piece
        return [
            [
                FilledToken(piece(token).decode(errors="replace"), token, probability(nats), nats)
                for token, nats in candidates
            ]
            for candidates in found
        ]

    def embed(
        self, texts: Iterable[Text], *, pool: str | None = None, normalize: bool | None = None, long: str = "refuse"
    ) -> F32:
        """Return a vector for each text, (S, D), as `lmkit embed` prints them; zeros for a text without tokens.

        pool       `mean`, `max` or `cls`; None: as the model's makers say, else the mean
        normalize  whether vectors are divided by their length; None: as the makers say
        long       texts too long are an error (`refuse`), or `truncate` or `window`, the options of the command

        Raises DataError for a text too long.
        """
        import numpy as np

        from lmkit.commands.embed_sentences import SentenceOptions, pooling_of
        from lmkit.evaluation.sentence_vectors import LONG, sentence_vectors

        if long not in LONG or pool not in (None, "mean", "max", "cls"):
            raise UsageError(f"long: expected one of {', '.join(LONG)}; pool: mean, max or cls")
        options = SentenceOptions(truncate=long == "truncate", window=long == "window")
        lines = [_line(text) for text in texts]
        none = np.zeros(self._model.settings.width, dtype=np.float32)
        if not lines:
            return none[None][:0]
        with session():
            how = pooling_of(self._model, pool, normalize=normalize, options=options)
            model = self._for_bytes(sum(map(len, lines)))
            ids, ends = model.tokenizer.encode_block(b"".join(lines))
            with opening.error_context(self.name):
                found = sentence_vectors(model, ids, ends, how)
        vectors: F32 = np.stack([none if one is None else one for one in found])
        return vectors

    def pseudo_score(self, texts: Sequence[Text]) -> list[float]:
        """Return the pseudo-log-likelihood of each line in nats, as `lmkit score --pseudo -b` prints it.

        Raises DataError for a line too long.
        """
        from lmkit.evaluation.masked_places import pseudo_lines

        lines = [_line(text) for text in texts]
        with session():
            model = self._for_bytes(8 * sum(map(len, lines)))
            with opening.error_context(self.name):
                self._model.check_fills()
                return [line.total for line in pseudo_lines(model, b"".join(lines))] if lines else []

    def _for_bytes(self, size: int) -> "Backend":
        if self._backend is None:
            with session() as run:
                self._backend = encoders.EncoderBackend(
                    run, self._model, name=self.name, device=self._device, precision="fp32", threads=self._threads
                )
        return self._backend.for_bytes(size)


def _line(text: Text) -> bytes:
    data = bytes_of(text)
    if b"\n" in data:
        raise UsageError("a text of several lines, expected one line")
    try:
        data.decode()
    except UnicodeDecodeError:
        raise DataError("a text that is not UTF-8") from None
    return data + b"\n"
