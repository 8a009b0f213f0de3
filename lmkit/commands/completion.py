"""`lmkit completion`: the shell's completion script."""

from pathlib import Path
from typing import Annotated

import typer

from lmkit.commands.options.standard import Output, Run, choice
from lmkit.errors import MissingError
from lmkit.io import installation, outputs, streams

FILES = {"bash": "lmkit.bash", "zsh": "_lmkit", "fish": "lmkit.fish"}


def completion(
    run: Run,
    shell: Annotated[
        str, typer.Argument(metavar="SHELL", callback=choice(*FILES), help="Shell: `bash`, `zsh` or `fish`.")
    ],
    output: Output = None,
) -> None:
    """Print a shell's completion script.

    Write it to where the shell looks for completions, or source it.

    Examples:
      lmkit completion bash -o ~/.local/share/bash-completion/completions/lmkit
      lmkit completion zsh -o ~/.zfunc/_lmkit
      lmkit completion fish -o ~/.config/fish/completions/lmkit.fish
    """
    with outputs.open_output(output) as out:
        out.write(streams.read_whole(str(_script(shell))))


def _script(shell: str) -> Path:
    """The script beside a checkout's package, or where the installer put it. Raises MissingError."""
    script = installation.shared_file(f"completions/{FILES[shell]}")
    if script is None:
        raise MissingError(
            f"the completion script of {shell} is not installed", hint="reinstall lmkit-cli from its wheel"
        )
    return script
