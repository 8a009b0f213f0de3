"""`lmkit bpe count`: distinct pre-tokens and their counts."""

from lmkit.commands.bpe.pretoken_counting import Level, Pattern, count_pretokens, make_scheme
from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import checkpoint_bytes, origin
from lmkit.commands.options.normalization import Normalize
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Output, Run
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.io import outputs, streams


@with_groups()
def count(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    level: Level = "byte",
    pattern: Pattern = None,
    normalize: Normalize = "none",
    encoding_errors: EncodingErrors = "strict",
    output: Output = None,
) -> None:
    """Count the distinct pre-tokens of a text.

    The counts are all that BPE training needs. Parts of a corpus can be counted on different machines: `bpe train
    --from-counts` with the count files, in the order of the parts, gives the tokenizer of the whole corpus.

    Examples:
      lmkit bpe count part1.txt -o 1.lm; lmkit bpe count part2.txt -o 2.lm
      lmkit bpe train --from-counts --vocab-size 8000 1.lm 2.lm -o bpe.lm
    """
    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(*inputs)
    scheme = make_scheme(level, pattern, normalize)
    with outputs.open_output(output, binary=True) as out:
        counts, record = count_pretokens(run, inputs, scheme, encoding_errors, text_input.source)
        for piece in checkpoint_bytes(counts, origin("bpe count", {"scheme": scheme.describe()}, [record])):
            out.write(piece)
