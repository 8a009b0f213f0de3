"""Progress of long work, drawn and as lines; on a real terminal it is in process/test_pseudo_terminal."""

import io

import pytest

from lmkit.io import progress
from lmkit.io.messages import WIPE, Terminal
from lmkit.io.progress import drawn, duration, quantity


class Screen(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setenv("NO_COLOR", "1")
    return clock


def pictures(screen):
    """What was shown one after the other."""
    return [part.rstrip("\r") for part in screen.getvalue().split(WIPE)[1:]]


def test_a_line_that_is_wiped_at_last(clock):
    screen = Screen()
    with Terminal(stream=screen).progress("counting", 100) as begun:
        for _ in begun.over([b"x" * 10] * 10):
            clock.now += 1
    *shown, last = pictures(screen)
    assert shown[0].startswith(f"counting  {'━' * 8} ")
    assert shown[0].endswith("   20%  8 s left  10B/s")
    assert [picture.split()[-5] for picture in shown] == [f"{share}%" for share in range(20, 100, 10)]
    assert (last, screen.getvalue().count("\n")) == ("", 0)


def test_work_of_unknown_size(clock):
    screen = Screen()
    begun = Terminal(stream=screen).progress("counting")
    clock.now += 5
    begun.advance(50_000)
    assert pictures(screen) == ["counting  50.0kB  10.0kB/s"]


def test_what_came_before_is_not_counted_in_the_time_left(clock):
    """Ten steps of a resumed run, and a minute of compilation, are done; then it takes a second a step."""
    log = io.StringIO()
    begun = Terminal(stream=log).progress("training", 100, "")
    clock.now += 60
    begun.begin(10)
    clock.now += 1
    begun.advance(1, "3.5 nats", "7 words/s")
    assert log.getvalue() == "lmkit: training   11%  89 s left  3.5 nats  7 words/s\n"


def test_a_plain_line_every_thirty_seconds_without_a_terminal(clock, monkeypatch):
    log = io.StringIO()
    begun = Terminal(stream=log).progress("counting", 1000)
    for _ in range(70):
        clock.now += 1
        begun.advance(10)
    assert log.getvalue().splitlines() == [
        "lmkit: counting   30%  70 s left  10B/s",
        "lmkit: counting   60%  40 s left  10B/s",
    ]
    quiet = Screen()
    begun = Terminal(stream=quiet, quiet=True).progress("counting", 1000)
    clock.now += 100
    begun.advance(10)
    assert quiet.getvalue() == ""
    monkeypatch.setenv("TERM", "dumb")
    assert not Terminal(stream=quiet).shows_pictures


def test_figures_that_stay(clock):
    screen = Screen()
    begun = Terminal(stream=screen).progress("training", 10, "")
    begun.keep("validation 4 nats")
    assert screen.getvalue() == ""
    clock.now += 3
    begun.advance(1, "5 nats")
    begun.keep("validation 3 nats")
    assert [picture.split("left  ")[1] for picture in pictures(screen)] == [
        "5 nats  validation 4 nats", "5 nats  validation 3 nats",
    ]  # fmt: skip


def test_more_than_was_promised(clock):
    begun = Terminal(stream=Screen()).progress("counting", 10)
    for _ in range(5):
        clock.now += 5
        begun.advance(10)
    Terminal(stream=Screen()).progress("counting", 0).advance(10)


@pytest.mark.parametrize("columns", [20, 30, 40, 60, 80, 200])
def test_a_line_is_narrower_than_the_terminal(columns, monkeypatch):
    """Fields are left out from the last on; the bar takes what they leave."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(progress, "columns_of", lambda stream: columns)
    fields = [" 42%", "14 s left", "3.214 nats", "12,345 tokens/s", "validation 3.100", "4.637 bits a byte"]
    line = drawn("training", 0.42, fields, Screen())
    assert len(line) < columns
    assert line.startswith("training  ")
    assert [any(field in line for field in fields[place:]) for place in (2, 4, 5)] == [
        columns >= 40, columns >= 80, columns == 200,
    ]  # fmt: skip
    assert "━" in line or columns not in (80, 200)
    monkeypatch.setenv("COLUMNS", "30")
    assert len(drawn("訓練" * 30, None, fields, Screen())) < 30


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (14.2, "14 s"), (99.4, "99 s"), (99.6, "2 min"), (5999, "100 min".replace("100 min", "1 h 40 min")),
     (5900, "98 min"), (11_100, "3 h 05 min")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0, "B", "0B"), (999, "B", "999B"), (1000, "B", "1.0kB"), (12_345, "B", "12.3kB"), (123_456, "B", "123kB"),
     (5e6, "", "5.0M"), (7e9, "B", "7.0GB"),
     (2.5e12, "B", "2.5TB"), (1e16, "B", "10000TB")],
)  # fmt: skip
def test_quantities(value, unit, text):
    assert quantity(value, unit) == text
