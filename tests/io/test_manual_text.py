"""Manual pages as plain text."""

from pathlib import Path

import pytest

from lmkit.io.manual_text import plain_text, unescaped
from lmkit.manual import roff

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("text", ["a-b 'c' `d` ^ ~ \\ é 😀", "--option", ".start", "'quoted"])
def test_what_roff_escapes_comes_back(text):
    assert unescaped(roff.guarded(roff.plain(text))) == text


def test_requests():
    source = "\n".join(
        [
            *roff.heading("lmkit-x", 7, "a page", preprocessor="t"),
            ".SH OPTIONS",
            *roff.tagged([("-a", "First."), (roff.bold("--a-long-option"), "second " * 30)]),
            ".PP",
            "Before.",
            *roff.block("$ lmkit ppl   x\n.5"),
            ".TS\nl lx.\none\tT{\ntwo words\nmore\nT}\nT{\nthree\nT}\tfour\n.TE",
            *roff.see_also([("lmkit-y", 1), ("lmkit-z", 7)]),
        ]
    )
    second = ["second " * 9, "second " * 9, "second " * 9, "second " * 3]
    assert plain_text(source).splitlines() == [
        "NAME", "       lmkit-x - a page", "",
        "OPTIONS", "",
        "       -a     First.", "",
        "       --a-long-option", *(f"              {line.strip()}" for line in second), "",
        "       Before.",
        "           $ lmkit ppl   x", "           .5",
        "       one    two words more", "       three  four", "",
        "SEE ALSO", "       lmkit-y(1), lmkit-z(7)",
    ]  # fmt: skip


@pytest.mark.parametrize("page", sorted((ROOT / "man").glob("man7/*.7")), ids=lambda page: page.stem)
def test_no_request_or_escape_is_left(page):
    shown = plain_text(page.read_text("utf-8"))
    assert not [line for line in shown.splitlines() if line.startswith(".") or "\\f" in line or "\\(" in line]
    kept = ("  $ ", "\t")
    running = [line for line in shown.splitlines() if len(line) > 78 and not any(mark in line for mark in kept)]
    assert all(line.startswith(" " * 11) for line in running)  # kept lines
