"""`lmkit train rnn`: a recurrent language model."""

from typing import Annotated, Any

import typer

from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Run, choice
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.training import Training
from lmkit.commands.training_run.neural_session import train


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
            help="`elman`, `lstm`, `gru`, or `mingru`, whose gates see the input alone.",
        ),
    ] = "lstm",
    layers: Annotated[int, typer.Option("--layers", metavar="N", min=1, help="Layers.")] = 2,
    width: Annotated[int, typer.Option("--width", metavar="N", min=1, help="Numbers in a hidden vector.")] = 128,
    bias: Annotated[bool, typer.Option("--bias/--no-bias", help="Biases in cells and head.")] = True,
    tied: Annotated[bool, typer.Option("--tied", help="The head is the table of embeddings.")] = False,
    bptt: Annotated[
        int, typer.Option("--bptt", metavar="N", min=1, help="Steps in time that errors are sent back.")
    ] = 100,
    *,
    training: Training,
) -> None:
    """Train a recurrent language model.

    A text is read as --batch lanes side by side, each going on where the batch before ended, so
    that the state reaches back further than the errors of --bptt steps. Matrices learn by Muon,
    each gate's block on its own. The longer the run, the lower the rate that serves it best: 0.06
    for --matrix-lr in some hundred steps, 0.02 in some thousand.

    Examples:
      lmkit train rnn train.txt --valid valid.txt -o lstm.lm
      lmkit train rnn --cell gru --budget 60s --valid-fraction 0.1 text.txt -o gru.lm
      lmkit train rnn --tokens bpe.lm --by line --steps 2000 lines.txt | lmkit ppl test.txt
    """

    def settings(vocabulary: int) -> Any:
        from lmkit.architectures.recurrent import RNNConfig

        return RNNConfig(vocabulary=vocabulary, cell=cell, layers=layers, width=width, bias=bias, tied=tied)

    train(run, files or [], training, settings, time_steps=bptt)
