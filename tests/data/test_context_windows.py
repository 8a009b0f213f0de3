"""Words and those around them, however a text is cut into pieces."""

from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.context_windows import Windows, words_of


def by_hand(text, reach):
    found = []
    for line in text.split(b"\n"):
        words = line.replace(b"\t", b" ").split(b" ")
        words = [word for word in words if word]
        for place, word in enumerate(words):
            found.append((word, words[max(0, place - reach) : place] + words[place + 1 : place + 1 + reach]))
    return found


@given(
    lines=st.lists(st.lists(st.sampled_from([b"a", b"b", b"c c", b"\t", b""]), max_size=9), max_size=5),
    reach=st.integers(1, 4),
    data=st.data(),
)
def test_words_and_their_neighbours(lines, reach, data):
    text = b"\n".join(b" ".join(line) for line in lines)
    cuts = [place + 1 for place, byte in enumerate(text) if byte in b" \t\n" and data.draw(st.booleans())]
    windows, found = Windows(reach), []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        found += windows.take(words_of(text[start:end]))
    found += windows.take([None])
    assert found == by_hand(text, reach)


def test_a_word_waits_for_no_more_than_its_window():
    windows = Windows(2)
    assert list(windows.take([b"a", b"b"])) == []
    assert list(windows.take([b"c"])) == [(b"a", [b"b", b"c"])]
    assert [centre.word for centre in windows.take([None, b"d"])] == [b"b", b"c"]
