"""`lmkit ngram coverage`: how much of a text another text has seen."""

from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.ngram.counting import make_learner
from lmkit.commands.options.standard import EncodingErrors, Json, Output, Run, Threads, Tokens
from lmkit.io import streams
from lmkit.io.records import Table

COLUMNS = ("order", "tokens", "tokens_seen", "coverage", "types", "types_seen", "types_coverage")


def coverage(
    run: Run,
    train: Annotated[str, typer.Argument(metavar="TRAIN", help="The text that has been seen.")],
    test: Annotated[str, typer.Argument(metavar="TEST", help="The text whose n-grams are looked up.")],
    max_order: Annotated[int, typer.Option("--max-order", metavar="N", min=1, max=20, help="Longest n-gram.")] = 5,
    tokens: Tokens = "word",
    encoding_errors: EncodingErrors = "strict",
    threads: Threads = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """How many n-grams of a text another text has.

    For each order, the share of the test text's n-grams, repeated ones counted each time and
    once, that the training text contains. `</s>` ends each line as a word does, `<s>` begins
    it. The longer the n-gram the rarer it has been seen: why n-gram models back off.

    Examples:
      lmkit ngram coverage train.txt test.txt
      lmkit ngram coverage --max-order 9 --tokens char train.txt test.txt --json
    """
    import numpy as np

    from lmkit.io.temp_storage import Disk, memory_size
    from lmkit.ngram.corpus import count_corpus
    from lmkit.ngram.ngram_lookup import find_grams
    from lmkit.ngram.tables import words_of

    opening.check_single_stdin(train, test)

    def counted(name: str) -> Any:
        learner = make_learner(tokens, None)
        reader = opening.text_reader(encoding_errors, raw=learner.takes_bytes)
        blocks = opening.read_blocks(run, reader, [name], "counting")
        cores = opening.core_count(threads)
        return count_corpus(blocks, learner, max_order, memory=memory_size(None), spill=Disk, threads=cores)

    seen, wanted = counted(train), counted(test)
    known = _ids_in(wanted.tokenizer, seen.tokenizer)
    seen_keys, keys = ([level.key for level in done.counts.levels] for done in (seen, wanted))
    with streams.open_output(output, inputs=[train, test]) as out:
        table = Table(out, COLUMNS, as_json=json)
        for order, level in enumerate(wanted.counts.levels, 1):
            ids = np.flatnonzero(level.count)
            words = words_of(keys, order, ids)
            if order == 1:
                predicted = words[:, 0] != wanted.tokenizer.specials["bos"]
                ids, words = ids[predicted], words[predicted]
            there = known[words]
            hit = (there >= 0).all(axis=1)
            hit[hit] = find_grams(seen_keys, there[hit]) >= 0
            if order == 1:
                hit[hit] = seen.counts.levels[0].count[there[hit, 0]] > 0
            count = level.count[ids].astype(np.int64)
            total, found = int(count.sum()), int(count[hit].sum())
            table.row(
                {
                    "order": order, "tokens": total, "tokens_seen": found, "coverage": found / max(1, total),
                    "types": len(ids), "types_seen": int(hit.sum()),
                    "types_coverage": float(hit.sum()) / max(1, len(ids)),
                }
            )  # fmt: skip


def _ids_in(tokenizer: Any, other: Any) -> Any:
    """Another tokenizer's id of each of this one's tokens; -1 where it has none."""
    import numpy as np

    if tokenizer.digest == other.digest:
        return np.arange(tokenizer.size)
    vocabulary = tokenizer.vocabulary
    ids = np.empty(len(vocabulary), dtype=np.int64)
    ids[vocabulary.ranks] = other.vocabulary.find(vocabulary.hashes)
    ids[1:][ids[1:] == 0] = -1  # only <unk> itself is id 0
    return ids
