"""`lmkit train transformer`: a decoder-only transformer."""

from typing import Annotated, Any

import typer

from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.training import Training
from lmkit.commands.training_run.neural_session import train
from lmkit.errors import UsageError


@with_groups()
def transformer(
    run: Run,
    files: TextFiles = None,
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            metavar="NAME",
            callback=choice("fast", "gpt2", "llama"),
            help="What the options below begin from: `fast`, in Qwen3's shape, `gpt2` or `llama`.",
        ),
    ] = "fast",
    context: Annotated[
        int, typer.Option("--context", metavar="N", min=1, help="The most tokens that are seen before the next.")
    ] = 64,
    layers: Annotated[int, typer.Option("--layers", metavar="N", min=1, help="Layers.")] = 3,
    width: Annotated[int, typer.Option("--width", metavar="N", min=1, help="Numbers in a hidden vector.")] = 96,
    heads: Annotated[
        int,
        typer.Option(
            "--heads",
            metavar="N",
            min=1,
            help="Attention heads, each --width / N numbers wide. N does not change the number of parameters, except "
            "with --query-key-norm, as in `fast`: each layer has two norms as wide as a head.",
        ),
    ] = 3,
    kv_heads: Annotated[
        int | None,
        typer.Option("--kv-heads", metavar="N", min=1, show_default="--heads", help="Heads of keys and values."),
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden", metavar="N", min=1, show_default="4 widths, 8/3 with swiglu", help="Numbers in the inner layer."
        ),
    ] = None,
    positions: Annotated[
        str | None,
        typer.Option(
            "--positions",
            metavar="NAME",
            callback=choice("rope", "learned", "sinusoidal", "none"),
            show_default="the preset's",
            help="`rope`, `learned`, `sinusoidal` or `none`.",
        ),
    ] = None,
    norm: Annotated[
        str | None,
        typer.Option(
            "--norm",
            metavar="NAME",
            callback=choice("pre", "post", "course", also={"res-post": "course"}),
            show_default="pre",
            help="Place of the norms: `pre`, before a branch; `post`, after the sum; `course` (or `res-post`), after a "
            "branch. `pre` has one norm more, before the head: nothing else normalises what its branches add up to.",
        ),
    ] = None,
    normalisation: Annotated[
        str | None,
        typer.Option(
            "--normalisation",
            metavar="NAME",
            callback=choice("rmsnorm", "layernorm"),
            show_default="the preset's",
            help="`rmsnorm` or `layernorm`.",
        ),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            "--activation",
            metavar="NAME",
            callback=choice("swiglu", "gelu", "relu", "relu2"),
            show_default="the preset's",
            help="`swiglu`, `gelu`, `relu` or `relu2`, its square.",
        ),
    ] = None,
    bias: Annotated[
        str | None,
        typer.Option(
            "--biases",
            metavar="WHERE",
            callback=choice("none", "qkv", "all"),
            show_default="the preset's",
            help="Biases in `none` of the maps, in those of queries, keys and values (`qkv`), or in `all`.",
        ),
    ] = None,
    query_key_norm: Annotated[
        bool | None,
        typer.Option(
            "--query-key-norm/--no-query-key-norm",
            show_default="the preset's",
            help="Norms of queries and keys, by head.",
        ),
    ] = None,
    tied: Annotated[
        bool | None,
        typer.Option("--tied/--untied", show_default="the preset's", help="The head is the table of embeddings."),
    ] = None,
    residual: Annotated[bool, typer.Option("--residual/--no-residual", help="Connections around the branches.")] = True,
    *,
    training: Training,
) -> None:
    """Train a decoder-only transformer.

    The default preset learns most in a given time on a CPU: rotary positions, RMSNorm, norms of
    queries and keys, SwiGLU, a head of its own, and Muon for the matrices; `lmkit convert` makes
    a Qwen3 of it. Every batch has --batch rows of --context tokens from anywhere in the text.

    Examples:
      lmkit train transformer train.txt --valid valid.txt -o gpt.lm
      lmkit train transformer --by file --tokens bpe.lm train.parquet --valid valid.parquet -o gpt.lm
      lmkit train transformer --tokens bpe.lm --budget 5m --valid-fraction 0.05 text.txt -o gpt.lm
      lmkit train transformer --preset gpt2 --layers 6 --width 384 --heads 6 --context 256 text.txt -o gpt.lm
      torchrun --nproc-per-node=2 -m -- lmkit train transformer train.txt --log gpt.jsonl -o gpt.lm
    """
    given = {
        "positions": positions, "norm": norm, "normalisation": normalisation, "activation": activation, "bias": bias,
        "query_key_norm": query_key_norm, "tied": tied,
    }  # fmt: skip
    chosen = {name: value for name, value in given.items() if value is not None}
    if width % heads:
        raise UsageError(f"--width {width} can't be shared evenly by --heads {heads}")

    def settings(vocabulary: int) -> Any:
        from lmkit.architectures import presets

        gated = {**presets.SMALL[preset], **chosen}.get("activation", "swiglu") == "swiglu"
        inner = hidden or (-(-width * 8 // 3 // 8) * 8 if gated else 4 * width)
        return presets.transformer(
            preset, vocabulary=vocabulary, context=context, layers=layers, width=width, heads=heads,
            kv_heads=kv_heads or heads, head_width=width // heads, residual=residual, **{**chosen, "hidden": inner},
        )  # fmt: skip

    train(run, files or [], training, settings, time_steps=context)
