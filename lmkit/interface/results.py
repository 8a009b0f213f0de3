"""Results of calls, their fields named as the keys of the commands' JSON."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Factor:
    """One factor of a text's probability, as `lmkit score --explain` has it."""

    token: str
    context: tuple[str, ...]
    """The tokens that the probability depends on."""
    order: int
    """The n-gram order that supplied it; of a neural model the length of its context."""
    nats: float


@dataclass(frozen=True)
class Score:
    """The log-probability of a line, as `lmkit score --json` has it."""

    text: str
    nats: float
    tokens: int
    """The number of tokens that were scored, the end of the line included."""
    signature: str
    factors: tuple[Factor, ...] | None = None
    """With `explain=True`, what `nats` is the sum of."""


@dataclass(frozen=True)
class Perplexity:
    """The perplexity of a text and what goes with it, as `lmkit ppl --json` has it."""

    perplexity: float
    perplexity_known: float | None
    """Over the tokens that the vocabulary has; None where it has none of them."""
    tokens: int
    unknown_tokens: int
    nats: float
    bits_per_token: float
    bits_per_word: float
    bits_per_character: float
    bits_per_byte: float
    signature: str
    impossible: tuple[str, ...] = ()
    """The first few n-grams of probability zero."""


@dataclass(frozen=True)
class NextToken:
    """A token that may follow, as `lmkit next --json` has it."""

    token: str
    id: int
    probability: float
    nats: float


@dataclass(frozen=True)
class Sample:
    """A generated text, as `lmkit sample --json` has it."""

    prompt: str
    text: str
    """What follows the prompt."""
    tokens: int
    nats: float
    finish_reason: str
    """`eos`, `stop` or `length`."""


@dataclass(frozen=True)
class Neighbour:
    """A word and its score, as `lmkit w2v similar --json` has it."""

    word: str
    score: float


@dataclass(frozen=True)
class FilledToken:
    """A token for a mask, as `lmkit fill` has it."""

    token: str
    id: int
    probability: float
    nats: float


@dataclass(frozen=True)
class Label:
    """A predicted label, as `lmkit predict --json` has it."""

    label: str
    scores: dict[str, float]
    """The probability of every label."""


@dataclass(frozen=True)
class Span:
    """A span of a tagged text, by the offsets of its characters."""

    type: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Tags:
    """A tagged sentence, as `lmkit predict --json` has it."""

    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    spans: tuple[Span, ...]
