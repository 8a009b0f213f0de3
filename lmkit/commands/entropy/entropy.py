"""`lmkit entropy`: entropies of distributions and of texts, and what is derived from them."""

from collections.abc import Callable

from lmkit.commands.entropy import distributions, texts
from lmkit.commands.entropy.request import EntropyRequest
from lmkit.commands.loading import models as opening
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Run
from lmkit.io import streams


@with_groups()
def entropy(run: Run, request: EntropyRequest) -> None:
    r"""Entropies of distributions and of texts.

    A text is counted as it is: line ends are bytes and characters like others; several FILEs give
    a line each and a total, that of all as one text, but with --compare, --against and --window
    they are one text. Words are split at white space and have no ends of lines. `entropy` is that of a
    symbol given the K before it, estimated at the positions that have K symbols before them;
    the table has all orders up to K at these same positions, so that the entropy never rises
    with the order. `block_entropy` is that of K + 1 symbols in a row. `bits_per_byte` compares
    units: the entropy times all symbols of the text, the first K too, over its bytes.

    `perplexity` is 2 to the entropy in bits, the same in every unit. --bare prints `entropy`,
    of --joint H(X,Y). In JSON of --joint `entropy` is H(X) and `conditional` H(Y|X), so that
    `joint` is their sum. With --against `divergence` is D(text || FILE) and `cross_entropy`
    H(text, FILE); probabilities are matched by place, counts by symbol. With -m alone
    `entropy` is the cross-entropy of the text under a language model, as `lmkit ppl` has it.

    Corrections, N observations, M symbols seen, c a count: `miller-madow` adds (M - 1) / 2N
    nats; `grassberger` (2003) is ln N - 1/N sum c G(c), G(c) = psi(c) + (-1)^c / 2
    (psi((c+1)/2) - psi(c/2)); `grassberger-1988` has psi(c) + (-1)^c / (c (c+1)) for G.

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
    with streams.open_output(request.output, inputs=[*request.inputs, request.model, request.against]) as out:
        MODES[request.mode](run, request, out)


MODES: dict[str, Callable[[Run, EntropyRequest, streams.Output], None]] = {
    "probs": distributions.probabilities,
    "counts": distributions.counts,
    "joint": distributions.joint,
    "model": texts.under_model,
    "against": texts.against,
    "window": texts.windows,
    "text": texts.entropy_of_text,
}
