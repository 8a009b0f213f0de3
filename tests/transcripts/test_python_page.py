"""The examples of docs/lmkit-python.md, run as Python shows them."""

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lmkit-python.md"
COMMAND = re.compile(r"^\$ (.*)$", re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_page_shows_what_happens(shell):
    text = PAGE.read_text()
    made = shell("set -e\n" + "\n".join(COMMAND.findall(text)))
    assert (made.status, made.stderr) == (0, "")
    examples = doctest.DocTestParser().get_doctest("\n".join(BLOCK.findall(text)), {}, PAGE.stem, str(PAGE), 0)
    assert len(examples.examples) >= 20
    report: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.REPORT_NDIFF).run(examples, out=report.append)
    assert not report, "".join(report)
