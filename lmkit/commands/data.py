"""`lmkit data`: texts to work with."""

from typing import Annotated

import typer

from lmkit.commands.options import Output, Run, choice
from lmkit.edge import streams


def text(
    run: Run,
    name: Annotated[
        str, typer.Argument(metavar="NAME", callback=choice("python-docs"), help="`python-docs`: Python's help topics.")
    ],
    output: Output = None,
) -> None:
    """Print a text that every Python installation carries.

    `python-docs` is the prose of Python's own online help, a sentence a line: some 40,000
    words of English to try things on, without a download. It differs a little from one
    version of Python to the next.

    Examples:
      lmkit data text python-docs -o docs.txt
      lmkit data text python-docs | lmkit ngram fit --order 3 | lmkit sample -n 3
    """
    from lmkit.text import prose

    with streams.open_output(output) as out:
        for sentence in prose.sentences():
            out.write(sentence.encode() + b"\n")
