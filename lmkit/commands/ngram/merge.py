"""`lmkit ngram merge`: adds up count files."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.ngram.count import count_bytes
from lmkit.commands.options.standard import Memory, Output, Run, TempDir
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import outputs, streams
from lmkit.tokenization.normalization import of_tokenizer


def merge(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COUNTS]...", help="Count files, in the order of their texts.", show_default=False),
    ] = None,
    memory: Memory = None,
    temp_dir: TempDir = None,
    output: Output = None,
) -> None:
    """Merge count files: add up their counts.

    The result is byte-identical to counting the texts together, in the same order. Merged files can be merged
    again, so many machines can merge as a tree.

    Examples:
      lmkit ngram merge monday.lm tuesday.lm -o counts.lm
      lmkit ngram merge part-*.lm | lmkit ngram fit --from-counts -o model.lm
    """
    from lmkit.array_storage import Memory as InMemory
    from lmkit.io.temp_storage import Disk, memory_size

    names = list(files or [streams.STDIN])
    opening.check_single_stdin(*names)
    with outputs.open_output(output, binary=True) as out:
        data = [opening.read_model(name) for name in names]
        large = 2 * sum(map(len, data)) > memory_size(memory)
        storage: Any = Disk(temp_dir) if large else InMemory()
        for piece in count_bytes(merged(data, [streams.display(name) for name in names], storage)):
            out.write(piece)
            storage.release()


def merged(data: Sequence[memoryview], names: Sequence[str], storage: Any = None) -> Any:
    """The sum of count files, as a CountFile. Raises CheckpointError and UsageError where they don't add up."""
    from lmkit import registry
    from lmkit.ngram.count_file import CountFile
    from lmkit.ngram.merging import merge as add_up
    from lmkit.ngram.merging import move, remap
    from lmkit.tokenization.vocabulary_union import unite_tokenizers

    files = [registry.load(view, name, opening.unprotected(name)) for view, name in zip(data, names, strict=True)]
    for file, name in zip(files, names, strict=True):
        if file.kind != CountFile.kind:
            raise CheckpointError(f"{name}: a checkpoint of kind {file.kind}, expected a count file")
        if (file.counts.order, file.tokenizer.kind) != (files[0].counts.order, files[0].tokenizer.kind):
            raise UsageError(
                f"{name}: order {file.counts.order} over {file.tokenizer.kind}s cannot be added to "
                f"order {files[0].counts.order} over {files[0].tokenizer.kind}s"
            )
        own, first = of_tokenizer(file.tokenizer), of_tokenizer(files[0].tokenizer)
        if own != first:
            raise UsageError(f"{name}: counts of text with {own} cannot be added to counts with {first}")
    try:
        tokenizer, maps = unite_tokenizers([file.tokenizer for file in files])
    except CheckpointError as error:
        raise UsageError(str(error)) from None
    runs = []
    for file, words in zip(files, maps, strict=True):
        same = file.tokenizer.digest == tokenizer.digest
        run = file.counts if same else remap(file.counts, words, tokenizer.size)
        runs.append(run if same or storage is None else move(run, storage))
    return CountFile(add_up(runs, storage), tokenizer)
