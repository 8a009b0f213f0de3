"""Files of records as commands read them: what stderr says of them meanwhile."""

import re
from collections.abc import Callable
from functools import partial

from lmkit.commands.loading import running_text
from lmkit.commands.options.standard import Run
from lmkit.errors import DataError
from lmkit.io import text_files
from lmkit.io.record_reader import GROUP, Record, RecordFile

_OBJECT = re.compile(rb"\s*\{\s*\".*\}\s*", re.DOTALL)


def open_records(
    run: Run,
    name: str,
    text: text_files.TextReader | None = None,
    *,
    size: int | None = GROUP,
    skip: Callable[[DataError], None] | None = None,
) -> RecordFile:
    """Open a file of records, which answers line by line unless `text` says otherwise; warn of a checkpoint.

    `skip`: see `RecordFile`.
    """
    text = text or text_files.TextReader(eager=True)
    return RecordFile(name, text, size=size, watch=partial(running_text.warn_if_no_text, run, name), skip=skip)


class TextNotices:
    """Notices about lines that are taken for texts: of a file that looks like something else, and of empty lines."""

    def __init__(self, run: Run, asked: str) -> None:
        """`asked`: the form that the user asked for, or `auto`."""
        self._run, self._asked, self._empty = run, asked, 0

    def see(self, record: Record) -> None:
        """Look at a line; a file's first one tells what the file may be, unless its form was asked for."""
        if not record.data.strip():
            self._empty += 1
        elif self._asked == "auto" and record.number == 1:
            shown = record.place.removesuffix(":1")
            if _OBJECT.fullmatch(record.data):
                self._run.terminal.notice(
                    f"{shown}: this looks like JSON Lines, read as plain text; hint: --input jsonl reads records"
                )
            elif record.data.count(b"\t") == 1:
                self._run.terminal.notice(
                    f"{shown}: lines with tabs, read as plain text; hint: --input tsv splits them"
                )

    def close(self) -> None:
        """Say how many lines were empty, if any."""
        if self._empty:
            said = "1 empty line, read as an item" if self._empty == 1 else None
            self._run.terminal.notice(said or f"{self._empty} empty lines, read as items")
