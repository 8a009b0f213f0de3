"""`lmkit ngram coverage`: how much of a text another text has seen."""

from typing import Annotated

import typer

from lmkit.commands import models as opening
from lmkit.commands.options import EncodingErrors, Json, Output, Run, Threads, Tokens
from lmkit.edge import streams
from lmkit.edge.records import Table
from lmkit.errors import UsageError

COLUMNS = ("order", "tokens", "tokens_seen", "coverage", "types", "types_seen", "types_coverage")


def coverage(
    run: Run,
    train: Annotated[str, typer.Argument(metavar="TRAIN", help="The text that has been seen.")],
    test: Annotated[str, typer.Argument(metavar="TEST", help="The text whose n-grams are looked up.")],
    max_order: Annotated[
        int, typer.Option("--max-order", "-n", metavar="N", min=1, max=20, help="Longest n-gram.")
    ] = 5,
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

    from lmkit.counting.corpus import count_corpus
    from lmkit.counting.lookup import find_grams
    from lmkit.counting.tables import Counts, words_of
    from lmkit.edge.scratch import Disk, memory_size
    from lmkit.protocols import Tokenizer
    from lmkit.text import tokenizers

    if train == test == streams.STDIN:
        raise UsageError("stdin is wanted for two things at once")

    def counted(name: str, learner: tokenizers.Learner) -> tuple[Counts, Tokenizer]:
        blocks = opening.blocks_of(run, opening.text_reader(tokens, encoding_errors), [name], "counting")
        done = count_corpus(
            blocks, learner, max_order, memory=memory_size(None), spill=Disk, threads=opening.core_count(threads)
        )
        return done.counts, done.tokenizer

    seen, tokenizer = counted(train, tokenizers.learner(tokens))
    wanted, _ = counted(test, tokenizers.Fixed(tokenizer))
    seen_keys = [level.key for level in seen.levels]
    keys = [level.key for level in wanted.levels]
    with streams.open_output(output, inputs=[train, test]) as out:
        table = Table(out, COLUMNS, as_json=json)
        for order, level in enumerate(wanted.levels, 1):
            ids = np.flatnonzero(level.count)
            words = words_of(keys, order, ids)
            if order == 1:
                predicted = words[:, 0] != tokenizer.specials["bos"]
                ids, words = ids[predicted], words[predicted]
            hit = find_grams(seen_keys, words) >= 0
            hit &= (words != tokenizer.specials["unk"]).all(axis=1)
            count = level.count[ids].astype(np.int64)
            total, found = int(count.sum()), int(count[hit].sum())
            table.row(
                {
                    "order": order, "tokens": total, "tokens_seen": found, "coverage": found / max(1, total),
                    "types": len(ids), "types_seen": int(hit.sum()),
                    "types_coverage": float(hit.sum()) / max(1, len(ids)),
                }
            )  # fmt: skip
