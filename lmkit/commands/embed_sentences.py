"""`lmkit embed` of lines with an encoder: options about sentences, and their vectors in the order of the lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import encoders, running_text
from lmkit.commands.options.standard import Device, ModelThreads, Run
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import streams

if TYPE_CHECKING:
    from lmkit.evaluation.sentence_vectors import SentencePooling
    from lmkit.inference.encoder import EncoderModel

BLOCK = 1 << 18
"""Bytes of lines that are sorted by length together, where that many are there at once."""
Truncate = Annotated[
    bool, typer.Option("--truncate", help="Truncate lines too long for an encoder to their beginning.")
]
Windows = Annotated[
    bool,
    typer.Option(
        "--window", help="Read lines too long for an encoder in windows side by side, and pool all their tokens."
    ),
]


@dataclass(frozen=True)
class SentenceOptions:
    """How an encoder embeds lines; the fields are options, by their names."""

    truncate: Truncate = False
    window: Windows = False
    threads: ModelThreads = None
    device: Device = "cpu"
    precision: encoders.Precision = "fp32"

    @property
    def given(self) -> list[str]:
        """The options that were given."""
        said = {
            "--truncate": self.truncate, "--window": self.window, "--device": self.device != "cpu",
            "--precision": self.precision != "fp32",
        }  # fmt: skip
        return [name for name, is_given in said.items() if is_given]


def pooling_of(
    model: "EncoderModel", pool: str | None, *, normalize: bool | None, options: SentenceOptions
) -> "SentencePooling":
    """How lines become vectors: as asked, else as the model's makers say. Raises UsageError for a pooling of others."""
    from lmkit.evaluation.sentence_vectors import REFUSE, TRUNCATE, WINDOW, SentencePooling

    if pool == "last":
        raise UsageError("--pool last is for models that read from left to right", hint="--pool mean, cls or max")
    if options.truncate and options.window:
        raise UsageError("--truncate and --window exclude each other")
    mode, unit, limit = model.sentence_pooling
    return SentencePooling(
        pool or mode,
        unit if normalize is None else normalize,
        limit,
        TRUNCATE if options.truncate else WINDOW if options.window else REFUSE,
    )


def vectors(
    run: Run, model: "EncoderModel", name: str, errors: str, source: Any, texts: list[str], pooling: "SentencePooling",
    options: SentenceOptions,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """A record for each line, with its vector. Raises DataError for a line too long."""
    from lmkit.evaluation.sentence_vectors import TooLong, sentence_vectors

    backend = encoders.EncoderBackend(
        run, model, name=name, device=options.device, precision=options.precision, threads=options.threads
    )
    reader = running_text.text_reader(errors, source, eager=True, block=BLOCK)
    known = 0 if streams.STDIN in texts else streams.size_of(texts) or 0
    number = size = 0
    for block in running_text.read_blocks(run, reader, texts, "embedding"):
        size += len(block)
        encoder = backend.for_bytes(max(size, known))
        ids, ends = encoder.tokenizer.encode_block(block)
        try:
            found = sentence_vectors(encoder, ids, ends, pooling)
        except TooLong as error:
            raise DataError(f"line {number + error.line}: {error}", hint=error.hint) from None
        except CheckpointError as error:
            raise CheckpointError(f"{streams.display(name)}: {error}") from None
        for text, vector in zip(block[:-1].split(b"\n"), found, strict=True):
            number += 1
            yield {"line": number, "text": text.decode(errors="replace"), "vector": vector}
