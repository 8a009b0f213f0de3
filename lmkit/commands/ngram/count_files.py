"""Count files as bytes: what `ngram count`, `ngram merge` and `ngram import` write, and the sum of several."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import origin
from lmkit.errors import CheckpointError
from lmkit.tokenization.normalization import of_tokenizer

if TYPE_CHECKING:
    from lmkit.array_storage import Storage
    from lmkit.ngram.count_file import CountFile


def count_bytes(file: "CountFile") -> Iterator[bytes | memoryview]:
    """Return the bytes of a count file: equal for equal counts, however they were computed."""
    from lmkit.checkpoint import serialize

    settings = {"order": file.counts.order, "tokens": file.tokenizer.kind, **of_tokenizer(file.tokenizer).describe()}
    return serialize(file.to_checkpoint(origin("ngram count", settings, [file.text()])))


def merged(data: Sequence[memoryview], names: Sequence[str], storage: "Storage | None" = None) -> "CountFile":
    """Return the sum of count files. Raises CheckpointError for other files, UsageError where they don't add up."""
    from lmkit import registry
    from lmkit.ngram.count_file import CountFile
    from lmkit.ngram.merging import merge_files

    files = []
    for view, name in zip(data, names, strict=True):
        file = registry.load(view, name, opening.unprotected(name))
        if not isinstance(file, CountFile):
            raise CheckpointError(f"{name}: a checkpoint of kind {file.kind}, expected a count file")
        files.append(file)
    return merge_files(files, names, storage)
