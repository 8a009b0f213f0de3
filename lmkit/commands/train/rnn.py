"""`lmkit train rnn`: a recurrent language model."""

from typing import Annotated, Any

import typer

from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.training import Training, sections
from lmkit.commands.training_run.neural_session import train
from lmkit.errors import UsageError


@in_sections(sections("cell", "layers", "width", "bias", "tied", "bptt", "task", "bidirectional"))
@with_groups(training={"lr": 0.02, "matrix_lr": 0.03})
def rnn(
    run: Run,
    files: TextFiles = None,
    cell: Annotated[
        str,
        typer.Option(
            "--cell",
            metavar="NAME",
            callback=choice("elman", "lstm", "gru", "mingru"),
            help="Cell: `elman`, `lstm`, `gru`, or `mingru`, whose gates depend on the input only.",
        ),
    ] = "lstm",
    layers: Annotated[int, typer.Option("--layers", metavar="N", min=1, help="Number of layers.")] = 2,
    width: Annotated[int, typer.Option("--width", metavar="N", min=1, help="Hidden size (d_model).")] = 128,
    bias: Annotated[bool, typer.Option("--bias/--no-bias", help="Biases of cells and head.")] = True,
    tied: Annotated[bool, typer.Option("--tied", help="Tied embeddings: the head uses the embedding matrix.")] = False,
    bptt: Annotated[
        int,
        typer.Option("--bptt", metavar="N", min=1, help="Truncated backpropagation through time: length in tokens."),
    ] = 100,
    task: Annotated[
        str,
        typer.Option(
            "--task", metavar="NAME", callback=choice("lm", "classify", "tag"),
            help="Task: `lm`, the next token; `classify`, labels of texts; `tag`, labels of words.",
        ),
    ] = "lm",
    bidirectional: Annotated[
        bool, typer.Option("--bidirectional", help="Read from both ends, for --task classify and tag.")
    ] = False,
    *,
    training: Training,
) -> None:  # fmt: skip
    """Train a recurrent language model, classifier or tagger.

    The text is split into --batch parallel lanes. Each lane continues where its last batch ended, so the state
    reaches further back than the --bptt tokens that gradients do. Muon treats each gate's matrix separately.
    Longer runs need lower rates: --matrix-lr 0.06 suits some hundred steps, 0.02 some thousand.

    --task classify and tag read the examples of `lmkit finetune`, train for --steps or ten epochs by AdamW (--lr 0.005)
    and keep the best epoch on --valid. `lmkit predict` runs the result.

    Examples:
      lmkit train rnn train.txt --valid valid.txt -o lstm.lm
      lmkit train rnn --cell gru --budget 60s --valid-fraction 0.1 text.txt -o gru.lm
      lmkit train rnn --task tag --bidirectional --tokens word --valid dev.conll train.conll -o tagger.lm
      lmkit train rnn --tokens bpe.lm --by line --steps 2000 lines.txt | lmkit ppl test.txt
    """

    def settings(vocabulary: int) -> Any:
        from lmkit.architectures.recurrent import RNNConfig

        return RNNConfig(
            vocabulary=vocabulary, cell=cell, layers=layers, width=width, bias=bias, tied=tied or task != "lm",
            bidirectional=bidirectional,
        )  # fmt: skip

    if task != "lm":
        from lmkit.commands.training_run.task_training import train_task

        train_task(run, task, files or [], training, settings)
        return
    if bidirectional:
        raise UsageError("--bidirectional is for --task classify and tag: a language model does not see what follows")
    train(run, files or [], training, settings, time_steps=bptt)
