"""`lmkit train ffn`: a feed-forward n-gram model."""

from typing import Annotated, Any

import typer

from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.training import Training, sections
from lmkit.commands.training_run.neural_session import train

TIME = 64  # tokens of a row: each of them is an example of its own


@in_sections(sections("context", "width", "hidden", "direct"))
@with_groups(training={"lr": 0.01, "matrix_lr": 0.02})
def ffn(
    run: Run,
    files: TextFiles = None,
    context: Annotated[int, typer.Option("--context", metavar="N", min=1, help="Context length, in tokens.")] = 3,
    width: Annotated[int, typer.Option("--width", metavar="N", min=1, help="Hidden size (d_model).")] = 64,
    hidden: Annotated[int, typer.Option("--hidden", metavar="N", min=1, help="Feed-forward size (d_ff).")] = 256,
    direct: Annotated[
        bool, typer.Option("--direct", help="Direct connections from the embeddings to the logits.")
    ] = False,
    *,
    training: Training,
) -> None:
    """Train a feed-forward n-gram model.

    The neural probabilistic language model of Bengio et al. (2003): embeddings of the last --context tokens, a
    tanh layer and a softmax. It generalises to n-grams that the text does not contain.

    Examples:
      lmkit train ffn train.txt --valid valid.txt -o ffn.lm
      lmkit train ffn --tokens word --context 4 --by line text.txt -o ffn.lm
    """

    def settings(vocabulary: int) -> Any:
        from lmkit.architectures.feedforward import FFNConfig

        return FFNConfig(vocabulary=vocabulary, context=context, width=width, hidden=hidden, direct=direct)

    train(run, files or [], training, settings, time_steps=TIME)
