"""The most bytes of what is held in memory whole, counted after decompression, by what a file is."""

from typing import NamedTuple

from lmkit.errors import DataError


class Limit(NamedTuple):
    """A number of bytes, what it limits (a plural), and what to do about something longer."""

    size: int
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.size >> 20} MiB" if self.size >= 1 << 20 else f"{self.size} bytes"

    def error(self, place: str) -> DataError:
        """The error about something at a place that is longer."""
        return DataError(f"{place}: longer than {self}, the limit for {self.what}", hint=self.hint)


_SURE = "make sure that this is the file you mean"
YAML = Limit(1 << 20, "YAML files", _SURE)
TEMPLATE = Limit(1 << 20, "templates", _SURE)
DOCUMENT = Limit(16 << 20, "JSON files, schemas and grammars", _SURE)
TOKENIZER = Limit(128 << 20, "tokenizer files", _SURE)
TABLE = Limit(256 << 20, "tables of words and counts", "`lmkit bpe count` writes counts of any size")
WHOLE = Limit(128 << 20, "files that are read whole", _SURE)
_SPLIT = "split it into lines, as with `fold -s -w 1000000`"
RECORD = Limit(64 << 20, "records and lines answered one by one", _SPLIT)
LINE = Limit(128 << 20, "lines of other texts", _SPLIT)
STATED = (YAML, TEMPLATE, DOCUMENT, TOKENIZER, TABLE, RECORD, LINE)
