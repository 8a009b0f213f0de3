import pytest

from lmkit.commands.records.record_files import TextNotices
from lmkit.io.record_reader import Record

RECORDS = "a: this looks like JSON Lines, read as plain text; hint: --input jsonl reads records"
TABS = "a: lines with tabs, read as plain text; hint: --input tsv splits them"


class Heard:
    """A run whose notices are kept."""

    def __init__(self):
        self.terminal = self
        self.notices = []

    def notice(self, text):
        self.notices.append(text)


@pytest.mark.parametrize(
    ("asked", "lines", "notices"),
    [
        ("auto", [b'{"a": 1}', b"b\tc"], [RECORDS]),
        ("auto", [b"a\tb", b'{"a": 1}'], [TABS]),
        ("auto", [b"a\tb\tc"], []),
        ("auto", [b"a", b"b\tc"], []),
        ("text", [b'{"a": 1}'], []),
        ("auto", [b"a", b""], ["1 empty line, read as an item"]),
        ("text", [b" ", b""], ["2 empty lines, read as items"]),
    ],
)
def test_notices_of_lines_taken_for_texts(asked, lines, notices):
    run = Heard()
    seen = TextNotices(run, asked)
    for number, data in enumerate(lines, 1):
        seen.see(Record(f"a:{number}", number, data))
    seen.close()
    assert run.notices == notices


def test_a_checkpoint_taken_for_records_is_noticed(lmkit, write):
    write("model", b"\x10\0\0\0\0\0\0\0{}\n")
    done = lmkit("prompt", "zero-shot", "model")
    assert done.stderr == "lmkit: model: a checkpoint, taken for a text\n"
