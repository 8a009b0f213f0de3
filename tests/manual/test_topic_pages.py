"""Pages about subjects, out of Markdown."""

import pytest

from lmkit.manual.topic_pages import topic_page

TEXT = """# Counting things

Some *words* with `code --here`, **strong**, and [lmkit-other(7)](lmkit-other.md)
or [a link](https://example.org).

## One part

- first
- second `x`

1. one

### Inside

```console
$ lmkit -h
```

| a | b |
| --- | --- |
| `x` | .y z |
"""


def test_markdown_becomes_a_page():
    lines = topic_page("lmkit-things", TEXT, ["lmkit-other", "lmkit-things"]).split("\n")
    assert lines[0] == "'\\\" t"
    assert lines[2].startswith(".TH LMKIT-THINGS 7 ")
    assert lines[lines.index(".SH NAME") + 1] == "lmkit\\-things \\- counting things"
    assert lines[lines.index(".SH DESCRIPTION") + 1 :] == [
        r"Some \fIwords\fR with \fBcode \-\-here\fR, \fBstrong\fR, and \fBlmkit-other(7)\fR", "or a link.",
        ".SH ONE PART", r".IP \(bu 2", "first", r".IP \(bu 2", r"second \fBx\fR", ".IP 1. 3", "one",
        ".SS Inside", ".RS 4", ".EX", r"$ lmkit \-h", ".EE", ".RE",
        ".sp", ".TS", "lb lb", "l lx.", "a\tT{", "b", "T}", r"\fBx\fR" + "\tT{", r"\&.y z", "T}", ".TE",
        ".SH SEE ALSO", ".BR lmkit (1),", r".BR lmkit\-other (7)", "",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["no heading", "# A\n\n![picture](x.png)\n", "# A\n\n> quoted\n", "# A\n\na<b>c\n"])
def test_what_a_page_has_no_form_for_is_refused(text):
    with pytest.raises(ValueError, match=r"lmkit-x: begins with no heading|has no form for"):
        topic_page("lmkit-x", text, [])
