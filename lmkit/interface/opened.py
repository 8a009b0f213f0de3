"""What every object that was opened from a file can say: its name, kind and description."""

from typing import Any

from lmkit.interface.session import session


class Opened:
    """Something out of a checkpoint, a folder or another tool's file."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        """The file or folder, as it was given."""
        self.kind = kind
        """What `lmkit info` calls it: `ngram`, `rnn`, `transformer`, `tokenizer`, `w2v`, ..."""

    def info(self) -> dict[str, Any]:
        """Return what `lmkit info --json` prints: config, tokenizer, numbers of parameters and bytes, origin."""
        from lmkit.commands.info import describe

        with session():
            return describe(self.name, verify=False)

    def __repr__(self) -> str:
        return f"<lmkit.{type(self).__name__} {self.name!r}, {self.kind}>"
