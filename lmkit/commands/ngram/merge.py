"""`lmkit ngram merge`: adds up count files."""

from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.ngram.count_files import count_bytes, merged
from lmkit.commands.options.standard import Memory, Output, Run, TempDir
from lmkit.io import outputs, streams


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
