"""`lmkit data shuffle`: records in a random order, also those of a corpus that memory does not hold."""

from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Memory, Output, Run, Seed, TempDir
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.records.corpora import Corpus, CorpusInput, RecordWriter
from lmkit.io.parquet_output import open_records
from lmkit.io.text_sources import FIELD


@with_groups()
def shuffle(
    run: Run,
    files: TextFiles = None,
    *,
    stored: CorpusInput,
    seed: Seed = 0,
    memory: Memory = None,
    temp_dir: TempDir = None,
    output: Output = None,
) -> None:
    """Shuffle the lines or records of a corpus.

    The order is random and depends on the seed and the number of records before each, so that the same input and
    seed give the same bytes whatever the memory. A corpus larger than --memory is sorted in temporary files, which
    need as much space as its records. Lines and JSON Lines go out byte for byte; rows of CSV and Parquet files
    become JSON Lines.

    Examples:
      lmkit data shuffle corpus.txt -o shuffled.txt
      lmkit data shuffle --seed 1 --memory 1G part-*.jsonl | lmkit train transformer --input jsonl -o model.lm
    """
    from lmkit.data.shuffling import keys
    from lmkit.io.line_sorting import LineSorter
    from lmkit.io.temp_storage import Disk, memory_size

    corpus = Corpus(run, stored, files, texts=False)
    form = corpus.expect_one_form()
    sorter = LineSorter(memory_size(memory), lambda: Disk(temp_dir))
    seen, header = 0, None
    with open_records(output, form, corpus.source.field or FIELD) as out:
        for chunk in corpus.chunks():
            sorter.add(keys(seed, seen, len(chunk.raws)), chunk.raws)
            seen += len(chunk.raws)
            header = header or chunk.header
        writer = RecordWriter(out)
        for lines in sorter.sorted_lines():
            writer.write(lines, header)
