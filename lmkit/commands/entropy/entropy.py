"""`lmkit entropy`: entropies of distributions and of texts, and what is derived from them."""

from collections.abc import Callable
from typing import Annotated

import typer

from lmkit.commands.entropy import distributions, texts
from lmkit.commands.entropy.request import EntropyRequest
from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import (  # fmt: skip
    Bare,
    EncodingErrors,
    Files,
    Json,
    Memory,
    Output,
    Run,
    TempDir,
    Unit,
    choice,
)
from lmkit.errors import UsageError
from lmkit.io import streams


def entropy(
    run: Run,
    files: Files = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="FILE", show_default=False, help="The same as FILE; `-`: stdin."),
    ] = None,
    probs: Annotated[bool, typer.Option("--probs", help="FILEs hold probabilities, one or more a line.")] = False,
    counts: Annotated[bool, typer.Option("--counts", help="FILEs hold counts, `symbol TAB count` a line.")] = False,
    joint: Annotated[
        str | None,
        typer.Option(
            "--joint",
            metavar="FILE",
            show_default=False,
            help="A matrix of probabilities or counts: X chooses the row, Y the column.",
        ),
    ] = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Divide probabilities by their sum first.")] = False,
    unit_of: Annotated[
        str | None,
        typer.Option(
            "--unit-of",
            metavar="SYMBOL",
            show_default="byte",
            callback=choice("byte", "char", "word", "line", "token", also={"bpe": "token"}),
            help="What is counted: `byte`, `char`, `word`, `line`, or `token` of the tokenizer in MODEL.",
        ),
    ] = None,
    order: Annotated[
        int, typer.Option("--order", metavar="K", min=0, max=64, help="Given the K symbols before; 0: given nothing.")
    ] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            show_default=False,
            help="Cross-entropy under MODEL; with `--unit-of token` counts what its tokenizer makes of the text.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="FILE", show_default=False, help="Cross-entropy and divergences from FILE."),
    ] = None,
    add: Annotated[
        float, typer.Option("--add", metavar="A", min=0.0, help="Add A to each count of both texts of --against.")
    ] = 0.0,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="LIST",
            show_default=False,
            help="Compress the text too: some of gzip, zlib, bz2, lzma, xz, zstd, parted by commas.",
        ),
    ] = None,
    correction: Annotated[
        str,
        typer.Option(
            "--correction",
            metavar="NAME",
            callback=choice("none", "miller-madow", "grassberger", "grassberger-1988"),
            help="Estimate from counts: `none`, `miller-madow`, `grassberger` or `grassberger-1988`.",
        ),
    ] = "none",
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            metavar="N",
            min=1,
            show_default=False,
            help="The entropy of each N symbols, as they come: whole windows only; "
            "what is left at the end is not measured.",
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option("--step", metavar="M", min=1, show_default="N", help="Symbols from one window to the next."),
    ] = None,
    unit: Unit = "bits",
    memory: Memory = None,
    temp_dir: TempDir = None,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:
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
    inputs = [*(files or []), *(text or [])]
    if joint is not None and inputs:
        raise UsageError("--joint names the table; FILEs do not go with it")
    inputs = inputs or [streams.STDIN if joint is None else joint]
    asked = EntropyRequest(
        run, inputs, unit=unit, order=order, correction=correction, errors=encoding_errors, normalize=normalize,
        model=model, unit_of=unit_of, against=against, add=add, compare=compare, window=window, step=step or window,
        memory=memory, temp_dir=temp_dir, json=json, bare=bare,
    )  # fmt: skip
    mode = _mode({"--probs": probs, "--counts": counts, "--joint": joint is not None}, asked)
    asked.check(mode, step)
    opening.check_single_stdin(*inputs, model, against)
    with streams.open_output(output, inputs=[*inputs, model, against]) as out:
        MODES[mode](asked, out)


def _mode(named: dict[str, bool], asked: EntropyRequest) -> str:
    """What is asked for. Raises UsageError where it is two things at once."""
    modes = [name.removeprefix("--") for name, given in named.items() if given]
    if len(modes) > 1:
        raise UsageError(f"{' and '.join(f'--{mode}' for mode in modes)} exclude each other")
    if modes:
        return modes[0]
    if asked.model is not None and asked.unit_of != "token":
        return "model"
    if asked.against is not None:
        return "against"
    return "text" if asked.window is None else "window"


MODES: dict[str, Callable[[EntropyRequest, streams.Output], None]] = {
    "probs": distributions.probabilities,
    "counts": distributions.counts,
    "joint": distributions.joint,
    "model": texts.under_model,
    "against": texts.against,
    "window": texts.windows,
    "text": texts.entropy_of_text,
}
