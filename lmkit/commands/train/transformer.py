"""`lmkit train transformer`: a decoder-only transformer."""

from typing import Annotated, Any

import typer

from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.training import Training, sections
from lmkit.commands.training_run import prefix_language_model
from lmkit.commands.training_run.neural_session import train
from lmkit.errors import UsageError

NORM_POSITIONS = ("pre", "post", "res-post")


def _norm_position(value: str | None) -> str | None:
    """Return the position as checkpoints name it: `res-post` was called `course`."""
    name = choice(*NORM_POSITIONS, also={"course": "res-post"})(value)
    return "course" if name == "res-post" else name


_norm_position.names = NORM_POSITIONS  # type: ignore[attr-defined]


@in_sections(
    sections(
        "preset", "context", "layers", "width", "heads", "kv_heads", "hidden", "positions", "norm", "normalisation",
        "activation", "bias", "query_key_norm", "tied", "residual", "prefix_lm",
    )
)  # fmt: skip
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
            help="Architecture that the options below modify: `fast` (Qwen3's), `gpt2` or `llama`.",
        ),
    ] = "fast",
    context: Annotated[int, typer.Option("--context", metavar="N", min=1, help="Context length, in tokens.")] = 64,
    layers: Annotated[int, typer.Option("--layers", metavar="N", min=1, help="Number of layers.")] = 3,
    width: Annotated[int, typer.Option("--width", metavar="N", min=1, help="Hidden size (d_model).")] = 96,
    heads: Annotated[
        int,
        typer.Option(
            "--heads",
            metavar="N",
            min=1,
            help="Attention heads, each of size --width / N. The number of parameters does not depend on N, except "
            "with --query-key-norm (the default of `fast`), whose two norms per layer have the size of a head.",
        ),
    ] = 3,
    kv_heads: Annotated[
        int | None,
        typer.Option(
            "--kv-heads",
            metavar="N",
            min=1,
            show_default="--heads",
            help="Key-value heads, for grouped-query attention.",
        ),
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden",
            metavar="N",
            min=1,
            show_default="4 times --width; 8/3 with swiglu",
            help="Feed-forward size (d_ff).",
        ),
    ] = None,
    positions: Annotated[
        str | None,
        typer.Option(
            "--positions",
            metavar="NAME",
            callback=choice("rope", "learned", "sinusoidal", "none"),
            show_default="the preset's",
            help="Positional encoding: `rope`, `learned`, `sinusoidal` or `none`.",
        ),
    ] = None,
    norm: Annotated[
        str | None,
        typer.Option(
            "--norm",
            metavar="NAME",
            callback=_norm_position,
            show_default="pre",
            help="Norm position: `pre`, on each branch's input; `post`, after the residual sum; `res-post`, on the "
            "branch's output. `pre` has one more norm, before the head.",
        ),
    ] = None,
    normalisation: Annotated[
        str | None,
        typer.Option(
            "--normalisation",
            metavar="NAME",
            callback=choice("rmsnorm", "layernorm"),
            show_default="the preset's",
            help="Norm: `rmsnorm` or `layernorm`.",
        ),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            "--activation",
            metavar="NAME",
            callback=choice("swiglu", "gelu", "relu", "relu2"),
            show_default="the preset's",
            help="Activation function: `swiglu`, `gelu`, `relu` or `relu2` (squared ReLU).",
        ),
    ] = None,
    bias: Annotated[
        str | None,
        typer.Option(
            "--biases",
            metavar="NAME",
            callback=choice("none", "qkv", "all"),
            show_default="the preset's",
            help="Biases: `none`, those of queries, keys and values (`qkv`), or `all`.",
        ),
    ] = None,
    query_key_norm: Annotated[
        bool | None,
        typer.Option(
            "--query-key-norm/--no-query-key-norm",
            show_default="the preset's",
            help="Normalise the queries and keys of each head (QK-norm).",
        ),
    ] = None,
    tied: Annotated[
        bool | None,
        typer.Option(
            "--tied/--untied", show_default="the preset's", help="Tied embeddings: the head uses the embedding matrix."
        ),
    ] = None,
    residual: Annotated[
        bool, typer.Option("--residual/--no-residual", help="Residual connections around the branches.")
    ] = True,
    prefix_lm: Annotated[
        bool,
        typer.Option(
            "--prefix-lm",
            help="Prefix language model: FILEs are pairs; a source is seen both ways, and its target is learned.",
        ),
    ] = False,
    *,
    training: Training,
) -> None:
    """Train a decoder-only transformer.

    The default preset learns most per unit of time on a CPU: rotary positions, RMSNorm, QK-norm, SwiGLU, an
    untied head, and Muon for the matrices. `lmkit convert` turns it into a Qwen3 model. Each batch has --batch
    rows of --context tokens from random positions in the text.

    With --prefix-lm pairs are those of `train seq2seq`, whose commands take the model: `sample` writes a target for
    each line, `score` and `ppl` take --pairs. Half of --context is for sources.

    Examples:
      lmkit train transformer train.txt --valid valid.txt -o gpt.lm
      lmkit train transformer --by file --tokens bpe.lm train.parquet --valid valid.parquet -o gpt.lm
      lmkit train transformer --tokens bpe.lm --budget 5m --valid-fraction 0.05 text.txt -o gpt.lm
      lmkit train transformer --preset gpt2 --layers 6 --width 384 --heads 6 --context 256 text.txt -o gpt.lm
      lmkit train transformer --prefix-lm --tokens bpe.lm --context 128 pairs.tsv -o mt.lm
      torchrun --nproc-per-node=2 -m -- lmkit train transformer train.txt --log gpt.jsonl -o gpt.lm
    """
    given = {
        "positions": positions, "norm": norm, "normalisation": normalisation, "activation": activation, "bias": bias,
        "query_key_norm": query_key_norm, "tied": tied,
    }  # fmt: skip
    chosen = {name: value for name, value in given.items() if value is not None}
    if width % heads:
        raise UsageError(f"--width {width} is not divisible by --heads {heads}")

    def settings(vocabulary: int) -> Any:
        from lmkit.architectures import presets

        gated = {**presets.SMALL[preset], **chosen}.get("activation", "swiglu") == "swiglu"
        inner = hidden or (-(-width * 8 // 3 // 8) * 8 if gated else 4 * width)
        return presets.transformer(
            preset, vocabulary=vocabulary, context=context, layers=layers, width=width, heads=heads,
            kv_heads=kv_heads or heads, head_width=width // heads, residual=residual, **{**chosen, "hidden": inner},
        )  # fmt: skip

    if prefix_lm:
        prefix_language_model.train(run, files or [], training, settings, context)
        return
    train(run, files or [], training, settings, time_steps=context)
