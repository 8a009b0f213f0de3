"""English prose that every CPython installation carries: the topics of its online help. Knows no files."""

import re
from collections.abc import Iterator

_SENTENCE = re.compile(r"(?<=[.!?])[\"')]?\s+(?=[A-Z\"(])")


def sentences() -> Iterator[str]:
    """Sentences of the help topics, topics in alphabetical order.

    Code, tables and headings are left out, and so are sentences that came before: topics share whole sections.
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    for name in sorted(topics):
        for paragraph in re.split(r"\n\s*\n", topics[name]):
            lines = paragraph.split("\n")
            if not _is_prose(lines):
                continue
            text = " ".join(line.strip() for line in lines)
            for part in _SENTENCE.split(text):
                sentence = part.strip()
                if sentence and sentence not in seen:
                    seen.add(sentence)
                    yield sentence


def _is_prose(lines: list[str]) -> bool:
    """Whether a paragraph is running text: several words, little punctuation of code, not indented as code is."""
    text = " ".join(lines)
    if not text.strip() or lines[0].startswith("     ") or re.search(r"::=|>>>|\*\*\*\*|====|----|\|\s|\+--", text):
        return False
    letters = sum(character.isalpha() or character == " " for character in text)
    return len(text.split()) >= 5 and letters / len(text) > 0.8
