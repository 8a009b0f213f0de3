"""Choosing the next token: filters of a distribution, draws from it, and whole texts. Knows no files.

Filters are functions from log-probabilities to log-probabilities, (V,) to (V,); what they drop
becomes -inf. Ties go to the lower id. A draw depends on the seed, the prompt's id, the sample's
number and the step, and on nothing else: neither on batch size and threads nor on other prompts.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmkit.errors import DataError, UsageError
from lmkit.protocols import F64, I32, Form, LanguageModel, State
from lmkit.text.sequences import decode_text, encode_prompt

Filter = Callable[[F64], F64]
FILTERS = ("temperature", "top-k", "top-p")
ROUNDING = 1e-7
"""How far a mass may fall short of --top-p and still reach it: models keep numbers in float32 or read them from
a few decimals, so that a probability of one half may be .499999995."""
KEPT = 1 << 24
"""Numbers in the distributions that a sampler keeps at most."""
_SHORT = {"temp": "temperature"}


def normalise(logs: F64) -> F64:
    """Log-probabilities that sum to one: l - log sum exp l. Values of any size are fine."""
    highest = logs.max(initial=-np.inf)
    if highest == -np.inf:
        return logs
    with np.errstate(over="ignore"):  # what lies further below than any float is impossible
        shifted = logs - highest
    normalised: F64 = shifted - np.log(np.exp(shifted).sum())
    return normalised


def with_temperature(logs: F64, temperature: float) -> F64:
    """l / T, normalised; T = 0 leaves the most probable token alone."""
    if temperature == 0:
        return top_k(logs, 1)
    with np.errstate(over="ignore"):
        return normalise((logs - logs.max(initial=-np.inf)) / temperature)


def softmax(logits: F64, temperature: float = 1.0) -> F64:
    """exp(l / T) over its sum, (V,); T = 0 gives all to the highest."""
    probabilities: F64 = np.exp(with_temperature(logits, temperature))
    return probabilities


def surprisal(logits: F64, target: int) -> float:
    """-log softmax(l)[target] in nats: the cross-entropy of one target under logits (V,)."""
    return max(0.0, -float(normalise(logits)[target]))


def top_k(logs: F64, k: int) -> F64:
    """The k most probable tokens, exactly k of them; 0 keeps all. Fan et al. (2018)."""
    if k == 0 or k >= len(logs):
        return logs
    best = np.argpartition(-logs, k - 1)[:k]
    threshold = logs[best].min()
    above = np.flatnonzero(logs > threshold)
    ties = np.flatnonzero(logs == threshold)[: k - len(above)]
    return _keep(logs, np.concatenate((above, ties)))


def top_p(logs: F64, p: float) -> F64:
    """The smallest set of most probable tokens whose mass reaches p, never empty. Holtzman et al. (2020)."""
    if p >= 1:
        return logs
    order = np.argsort(-logs, kind="stable")
    mass = np.cumsum(np.exp(normalise(logs)[order]))
    count = int(np.searchsorted(mass, p - ROUNDING)) + 1
    return _keep(logs, order[:count])


def _keep(logs: F64, tokens: Any) -> F64:
    kept = np.full(len(logs), -np.inf)
    kept[tokens] = logs[tokens]
    return normalise(kept)


def filters(temperature: float, k: int, p: float, order: str) -> list[tuple[str, Filter]]:
    """The filters in the order of a list such as `temperature,top-k,top-p`. Raises UsageError."""
    names = [_SHORT.get(name.strip(), name.strip()) for name in order.split(",")]
    if sorted(names) != sorted(FILTERS):
        raise UsageError(f"--order {order!r} does not name each of {', '.join(FILTERS)} once")
    makers: dict[str, Filter] = {
        "temperature": lambda logs: with_temperature(logs, temperature),
        "top-k": lambda logs: top_k(logs, k),
        "top-p": lambda logs: top_p(logs, p),
    }
    return [(name, makers[name]) for name in names]


def uniform(seed: int, key: str, sample: int, step: int) -> float:
    """A number in [0, 1) that these four determine: 53 bits of BLAKE2b."""
    data = f"{seed}\0{key}\0{sample}\0{step}".encode()
    return (int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 11) / 2**53


@dataclass(frozen=True)
class Choices:
    """A filtered distribution, ready to draw from: tokens that remain, and their cumulated mass."""

    tokens: Any
    mass: F64
    logs: F64

    @classmethod
    def of(cls, logs: F64) -> "Choices":
        """From log-probabilities that sum to one."""
        tokens = np.flatnonzero(logs > -np.inf)
        kept = np.exp(logs[tokens])
        return cls(tokens, np.cumsum(kept), logs)

    def draw(self, number: float) -> int:
        """The token at which the cumulated mass passes `number` in [0, 1)."""
        place = int(np.searchsorted(self.mass, number * self.mass[-1], side="right"))
        return int(self.tokens[min(place, len(self.tokens) - 1)])


@dataclass(frozen=True)
class Generated:
    """One generated continuation: its ids without `eos`, nats under the model, and why it ended."""

    ids: list[int]
    text: bytes
    nats: float
    finish_reason: str


class Sampler:
    """Generates continuations from a model. Distributions met again are not computed again."""

    def __init__(self, model: LanguageModel, chain: Sequence[tuple[str, Filter]], *, unknown: bool = False) -> None:
        self._model = model
        self._chain = chain
        self._end = end_of(model.form)
        self._never = _never(model, unknown=unknown)
        self._choices: dict[State, tuple[Choices, F64]] = {}

    def choices(self, state: State) -> tuple[Choices, F64]:
        """What may follow a state, filtered, and the model's own log-probabilities. Raises DataError if nothing."""
        try:
            known = self._choices.get(state)
        except TypeError:  # a state that can't be a key
            return self._compute(state)
        if known is None:
            known = self._compute(state)
            if len(self._choices) >= min(1024, KEPT // len(known[1])):
                self._choices.clear()
            self._choices[state] = known
        return known

    def _compute(self, state: State) -> tuple[Choices, F64]:
        raw = self._model.next(state)
        logs = raw.copy()
        logs[self._never] = -np.inf
        logs = normalise(logs)
        if logs.max(initial=-np.inf) == -np.inf:
            raise DataError("the model gives no token that could follow here")
        for _, apply in self._chain:
            logs = apply(logs)
        return Choices.of(logs), raw

    def generate(
        self, state: State, *, key: str, sample: int, seed: int, most: int, stops: Sequence[bytes] = ()
    ) -> Generated:
        """One continuation of at most `most` tokens after `state`."""
        ids: list[int] = []
        nats = 0.0
        for step in range(most):
            choices, raw = self.choices(state)
            token = choices.draw(uniform(seed, key, sample, step))
            nats += float(raw[token])
            if token == self._end:
                return Generated(ids, self._text(ids), nats, "eos")
            ids.append(token)
            if stops:
                text = self._text(ids)
                places = [text.find(stop) for stop in stops if stop in text]
                if places:
                    return Generated(ids, text[: min(places)], nats, "stop")
            state = self._model.advance(state, token)
        return Generated(ids, self._text(ids), nats, "length")

    def _text(self, ids: list[int]) -> bytes:
        return decode_text(self._model.tokenizer, self._model.form, ids)


def end_of(form: Form) -> int | None:
    """The token that ends what is generated; None: nothing does."""
    return form.document_end if form.continuous or form.line_end is None else form.line_end


def _never(model: LanguageModel, *, unknown: bool) -> list[int]:
    """Tokens that are not drawn: what stands before all text, and what no text has unless `unknown`."""
    specials = model.tokenizer.specials
    marks = {end_of(model.form), model.form.line_end}
    return [
        specials[name] for name in ("bos", *(() if unknown else ("unk",))) if specials.get(name) not in {None, *marks}
    ]


def state_after(model: LanguageModel, prompt: bytes, *, window: bool = False) -> State:
    """The state after a prompt at the beginning of a text; of one that a model can't see whole, its last tokens.

    Raises DataError for such a one without `window`.
    """
    ids: I32 = encode_prompt(model.tokenizer, model.form, prompt)
    most = getattr(model, "prompt_limit", None)
    if most is not None and len(ids) > most:
        if not window:
            raise DataError(
                f"prompt of {len(ids)} tokens exceeds the model's context of {most}",
                hint="--window uses its last tokens",
            )
        ids = ids[-most:]
    if hasattr(model, "after"):  # all tokens together
        return model.after(ids)
    state = model.start()
    for token in ids.tolist():
        state = model.advance(state, token)
    return state


def ranked(logs: F64, most: int | None) -> Iterator[int]:
    """Tokens by falling log-probability, ties by id; those of probability zero left out."""
    order = np.argsort(-logs, kind="stable")
    for token in order[:most].tolist():
        if logs[token] == -np.inf:
            return
        yield token
