"""Texts held to a grammar while a model writes them, over any model's tokens. Knows no files.

The engine, llguidance, is given the bytes that each token adds to the text; where these depend on what comes
before, it is given a copy of the vocabulary for each case, of which one holds at a time.

Shapes: V vocabulary.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from lmkit.errors import DataError
from lmkit.generation.grammars import Checker, Grammar, byte_tokenizer, compiled, grammar_in, tokenizer
from lmkit.generation.prompt_encoding import ends_of
from lmkit.protocols import Bool, LanguageModel
from lmkit.tokenization.token_bytes import Context, TokenBytes, token_bytes_of

NOTHING_FITS = "NoExtension"  # the beginning of what the engine says where no token fits
SHOWN = 40  # bytes of a text in a message


class Vocabulary:
    """A model's tokens as the engine knows them."""

    def __init__(self, additions: TokenBytes, ends: Sequence[int]) -> None:
        self.additions = additions
        self.ends = list(ends)
        self.size = len(additions.first)
        self._stride = -(-self.size // 8) * 8  # whole bytes of a mask
        self._blocks = [0] * len(Context)
        spelled: list[bytes] = []
        for joint in additions.joints:
            self._blocks[joint] = len(spelled)
            spelled += [*additions.at(joint), *([b""] * (self._stride - self.size))]
        self.tokens = tokenizer(spelled)

    def named(self, token: int, joint: Context) -> int:
        """A token at a joint, as the engine counts them."""
        return self._blocks[joint] + token

    def mask(self, matcher: Any, joint: Context) -> Bool:
        """The tokens that may follow, (V,); those that end texts where this one is complete. Raises DataError."""
        begin = self._blocks[joint] // 8
        packed = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)[begin : begin + self._stride // 8]
        mask: Bool = np.unpackbits(packed, count=self.size, bitorder="little").view(np.bool_)
        if matcher.is_error():
            reason = matcher.get_error().split("\n")[0]
            if not reason.startswith(NOTHING_FITS):
                raise DataError(f"the constraint is too complex for llguidance: {reason}")
            mask[:] = False
        mask[self.ends] = matcher.is_accepting()
        return mask

    @cached_property
    def _spellings(self) -> list[tuple[frozenset[bytes], dict[bytes, set[Context]]]]:
        """For each context: what can be added, and the context of the next token."""
        found = []
        for joint in Context:
            after: dict[bytes, set[Context]] = {}
            for token, spelling in enumerate(self.additions.at(joint)):
                if spelling:
                    after.setdefault(spelling, set()).add(self.additions.after(token))
            found.append((frozenset(after), after))
        return found

    def spells(self, text: bytes) -> bool:
        """Whether some tokens spell a text."""
        longest = max((len(spelling) for spellings, _ in self._spellings for spelling in spellings), default=0)
        reached: list[set[Context]] = [set() for _ in range(len(text) + 1)]
        reached[0].add(Context.START)
        for begin in range(len(text)):
            for joint in reached[begin]:
                spellings, after = self._spellings[joint]
                for end in range(begin + 1, min(len(text), begin + longest) + 1):
                    if text[begin:end] in spellings:
                        reached[end] |= after[text[begin:end]]
        return bool(reached[-1])


class ConstraintState:
    """One text, held to a grammar; see `sampler.Constraint`."""

    def __init__(self, vocabulary: Vocabulary, grammar: Grammar, matcher: Any, mask: Bool) -> None:
        self.grammar = grammar
        self._vocabulary = vocabulary
        self._matcher = matcher
        self._joint = Context.START
        self._text = b""
        self._mask = mask
        self._ahead: tuple[int, Any, Context, Bool] | None = None

    @property
    def complete(self) -> bool:
        """Whether the text is valid as it is."""
        return bool(self._matcher.is_accepting())

    @property
    def finished(self) -> bool:
        """See `Constraint.finished`: a text that no token can continue is finished too."""
        return self.complete and not self._goes_on(self._mask)

    def allowed(self) -> Bool:
        """See `Constraint.allowed`. Raises DataError where no token spells what must follow."""
        if not self._mask.any():
            so_far = self._text[-SHOWN:].decode(errors="replace")
            where = f"after {so_far!r}" if so_far else "at the beginning"
            raise DataError(f"the model has no token that the constraint allows {where}")
        return self._mask

    def can_continue(self, token: int) -> bool:
        """See `Constraint.can_continue`."""
        if token not in self._vocabulary.ends:
            matcher, joint, mask = self._after(token)
            if not (mask.any() or matcher.is_accepting()):
                self._mask[token] = False
                return False
            self._ahead = token, matcher, joint, mask
        return True

    def add(self, token: int) -> None:
        """See `Constraint.add`."""
        self._text = self._text[-SHOWN:] + self._vocabulary.additions.at_one(token, self._joint)
        if self._ahead is not None and self._ahead[0] == token:
            _, self._matcher, self._joint, self._mask = self._ahead
        else:
            self._matcher, self._joint, self._mask = self._after(token)
        self._ahead = None

    def _after(self, token: int) -> tuple[Any, Context, Bool]:
        matcher = self._matcher.deep_copy()
        matcher.consume_token(self._vocabulary.named(token, self._joint))
        joint = self._vocabulary.additions.after(token)
        return matcher, joint, self._vocabulary.mask(matcher, joint)

    def _goes_on(self, mask: Bool) -> bool:
        """Whether a token may follow that does not end the text."""
        return bool(mask.sum() > mask[self._vocabulary.ends].sum())


class Grammars:
    """Constraints for the texts of one model: tokens are made known to the engine once, each grammar compiled once."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._begun: dict[str, tuple[Any, Bool]] = {}
        self._checks: dict[str, Any] = {}

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        form = self._model.form
        return Vocabulary(token_bytes_of(self._model.tokenizer, form), ends_of(form))

    @cached_property
    def _checker(self) -> Checker:
        return Checker()

    def constraint(self, grammar: Grammar) -> ConstraintState:
        """A constraint at the beginning of a text. Raises DataError where the grammar is wrong or can't be met."""
        if grammar.key not in self._begun:
            self._checker.check(grammar)
            matcher = compiled(grammar, self._vocabulary.tokens)
            for text in grammar.value if grammar.kind == "choice" else ():
                if not self._vocabulary.spells(text.encode()):
                    raise DataError(f"the model has no tokens that spell the choice {text!r}")
            self._begun[grammar.key] = matcher, self._vocabulary.mask(matcher, Context.START)
        matcher, mask = self._begun[grammar.key]
        return ConstraintState(self._vocabulary, grammar, matcher.deep_copy(), mask.copy())

    def constraint_of(self, record: Mapping[str, Any]) -> ConstraintState | None:
        """The constraint that a record asks for, if it does; see `grammars.grammar_in`."""
        grammar = grammar_in(record)
        if grammar is None:
            return None
        try:
            return self.constraint(grammar)
        except DataError as error:
            raise DataError(f"{grammar.kind}: {error}", hint=error.hint) from None

    def matches(self, grammar: Grammar, text: bytes) -> bool:
        """Whether a text is valid, whatever tokens it is made of."""
        if grammar.key not in self._checks:
            self._checks[grammar.key] = compiled(grammar, byte_tokenizer())
        matcher = self._checks[grammar.key].deep_copy()
        return matcher.try_consume_tokens(list(text)) == len(text) and bool(matcher.is_accepting())
