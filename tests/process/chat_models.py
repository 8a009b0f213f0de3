"""A chat model of few bytes: an n-gram model of characters that learned some conversations by heart."""

from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}S{{ m.content }}<|end|>{% elif m.role == 'user' %}"
    "Q{{ m.content }}<|end|>{% else %}A{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}A{% endif %}"
)
TURNS = [
    ("hello", "good day"), ("who are you?", "a model"), ("again", "once more"),
    ("count", "one two three"), ("loop", "la " * 40),
]  # fmt: skip


_made = []


def make(lmkit, write):
    """Writes the model, which is fitted once, as `chat.lm`, with its template as `chat.jinja`."""
    said = [f"Q{question}<|end|>A{answer}<|end|>" for question, answer in TURNS]
    write("conversations.txt", "".join(f"{one}{two}\n" for one in said for two in said).encode())
    write("chat.jinja", TEMPLATE.encode())
    if not _made:
        fit = ["ngram", "fit", "-q", "--order", "12", "--tokens", "char", "--smoothing", "mle"]
        done = lmkit(*fit, "conversations.txt", "-o", "chat.lm")
        assert done.status == 0, done.stderr
        _made.append(Path("chat.lm").read_bytes())
    write("chat.lm", _made[0])
    return ["-m", "chat.lm", "--template", "chat.jinja"]
