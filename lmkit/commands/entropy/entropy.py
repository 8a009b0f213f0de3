"""`lmkit entropy`: entropies of distributions and of texts, and what is derived from them."""

from collections.abc import Callable

from lmkit.commands.entropy import distributions, texts
from lmkit.commands.entropy.request import SECTIONS, EntropyRequest
from lmkit.commands.loading import models as opening
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Run
from lmkit.io import outputs


@in_sections(SECTIONS)
@with_groups()
def entropy(run: Run, request: EntropyRequest) -> None:
    r"""Measure the entropy of texts and distributions.

    Line ends are bytes and characters like others; words are separated by white space. Several FILEs get a line
    each and a total, but are one text under --compare, --against and --window. `entropy` is conditional on the K
    symbols before (--order), over positions that have K; the table shows all orders up to K, and entropy never
    rises with the order: that of order K is of (K+1)-grams, in bits per character with --unit-of char.
    `block_entropy` is that of K + 1 adjacent symbols. `bits_per_byte` is comparable across symbols.

    `perplexity` is 2 to the entropy in bits. --against prints `divergence`, D(text || FILE), and `cross_entropy`,
    H(text, FILE). -m alone prints the text's cross-entropy under the model, as `lmkit ppl` does. For --joint,
    `entropy` is H(X), `conditional` H(Y|X) and `joint` H(X,Y), which --bare prints.

    Examples:
      printf '0.5\n0.5\n' | lmkit entropy --probs
      lmkit entropy --unit-of char --order 5 book.txt
      lmkit entropy --compare gzip,bz2,xz book.txt
      lmkit entropy --unit-of word --against other.txt book.txt
      lmkit entropy --joint table.tsv --unit nats
      lmkit entropy -m model.lm book.txt
    """
    request.check()
    opening.check_single_stdin(*request.inputs, request.model, request.against)
    with outputs.open_output(request.output) as out:
        MODES[request.mode](run, request, out)


MODES: dict[str, Callable[[Run, EntropyRequest, outputs.Output], None]] = {
    "probs": distributions.probabilities,
    "counts": distributions.counts,
    "joint": distributions.joint,
    "model": texts.under_model,
    "against": texts.against,
    "window": texts.windows,
    "text": texts.entropy_of_text,
}
