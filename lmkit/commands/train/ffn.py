"""`lmkit train ffn`: a feed-forward n-gram model."""

from typing import Annotated, Any

import typer

from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.training import Training
from lmkit.commands.training_run.neural_session import train

TIME = 64  # tokens of a row: each of them is an example of its own


@with_groups(training={"lr": 0.01, "matrix_lr": 0.02})
def ffn(
    run: Run,
    files: TextFiles = None,
    context: Annotated[
        int, typer.Option("--context", metavar="N", min=1, help="The most tokens that are seen before the next.")
    ] = 3,
    width: Annotated[int, typer.Option("--width", metavar="N", min=1, help="Numbers in a hidden vector.")] = 64,
    hidden: Annotated[int, typer.Option("--hidden", metavar="N", min=1, help="Numbers in the inner layer.")] = 256,
    direct: Annotated[bool, typer.Option("--direct", help="Embeddings reach the logits directly too.")] = False,
    *,
    training: Training,
) -> None:
    """Train a feed-forward n-gram model.

    The neural probabilistic model of Bengio et al. (2003): the embeddings of the last tokens,
    a layer of tanh, a softmax. It sees --context tokens and nothing before them, and knows
    something of n-grams that it never met.

    Examples:
      lmkit train ffn train.txt --valid valid.txt -o ffn.lm
      lmkit train ffn --tokens word --context 4 --by line text.txt -o ffn.lm
    """

    def settings(vocabulary: int) -> Any:
        from lmkit.architectures.feedforward import FFNConfig

        return FFNConfig(vocabulary=vocabulary, context=context, width=width, hidden=hidden, direct=direct)

    train(run, files or [], training, settings, time_steps=TIME)
