"""Which class answers for which kind of file; each is imported when a file of its kind is opened.

Knows names of kinds and first bytes, no files: who calls has the bytes.
"""

from importlib import import_module
from typing import Any

from lmkit import checkpoint
from lmkit.errors import CheckpointError, LmkitError

KINDS = {
    "ffn": ("lmkit.inference.feedforward", "FeedForwardModel"),
    "ngram": ("lmkit.counting.model", "NGram"),
    "ngram-counts": ("lmkit.counting.countfile", "CountFile"),
    "pretoken-counts": ("lmkit.text.bpe.counts", "PretokenCounts"),
    "rnn": ("lmkit.inference.recurrent", "RecurrentModel"),
    "tokenizer": ("lmkit.text.stored", "TokenizerFile"),
    "transformer": ("lmkit.inference.transformer", "TransformerModel"),
}
SNIFF = 1 << 16


def load(data: memoryview, name: str) -> Any:
    """The model, or whatever else, that a checkpoint or ARPA file holds.

    Raises CheckpointError, with the file's name, where it is neither or can't be used.
    """
    try:
        if checkpoint.is_checkpoint(data[:9]):
            return _from_checkpoint(checkpoint.parse(data))
        start = bytes(data[:SNIFF])
        arpa = import_module("lmkit.counting.arpa")
        if arpa.is_arpa(start):
            return _from_arpa(arpa, bytes(data))
    except LmkitError as error:
        raise type(error)(f"{name}: {error}", hint=error.hint) from None
    what = "empty" if not len(data) else "neither a checkpoint nor an ARPA file"
    raise CheckpointError(f"{name}: {what}")


def _from_checkpoint(content: checkpoint.Checkpoint) -> Any:
    if content.kind not in KINDS:
        raise CheckpointError(f"unknown kind {content.kind!r}", hint="update lmkit to read it")
    module, name = KINDS[content.kind]
    return getattr(import_module(module), name).from_checkpoint(content)


def _from_arpa(arpa: Any, data: bytes) -> Any:
    import hashlib

    tables, tokenizer = arpa.read(data)
    model = import_module("lmkit.counting.model").NGram
    config = {"order": len(tables), "smoothing": "imported"}
    return model(tables, tokenizer, config, hashlib.sha256(data).hexdigest())
