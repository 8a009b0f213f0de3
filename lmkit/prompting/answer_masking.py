"""Conversations as sequences of tokens, of which each answer and the token that ends it are learned, no other.

The prompt of an answer is what the template writes before it, encoded as it is where a model is to answer: without the
spaces that end it, which begin the answer. Rule of the boundary: prompt and answer are encoded apart where the
tokenizer would join the last character of one and the first of the other in a token; where an answer can't be encoded
alone, such a token counts as answer. Either is counted.

The end of an answer is the first special token that the template writes behind it; where it writes none, the model's
own end follows the answer at once. A conversation is one sequence where each prompt is what was there before and more;
else every answer is a sequence of its own, as when a template leaves out what was thought in earlier turns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lmkit.data import answer_sequences
from lmkit.data.answer_sequences import AnswerSequence
from lmkit.data.sequences import TextFormat, decode_text, encode_prompt
from lmkit.errors import DataError
from lmkit.generation.prompt_encoding import ends_of
from lmkit.prompting.chat_templates import ASSISTANT, USER, Chat, Messages, without_tags
from lmkit.prompting.layout import open_ended
from lmkit.protocols import I32, Tokenizer

Turn = tuple[Messages, bool, Mapping[str, Any]]


class AnsweredPrompt(NamedTuple):
    """An answer in its template: the prompt, the answer, and what ends it, nothing where no special token does."""

    prompt: str
    answer: str
    end: str


class EncodedConversation(NamedTuple):
    """The sequences of a conversation, and at how many boundaries a token would have been of both sides."""

    sequences: Sequence[AnswerSequence]
    joints: int


@dataclass(frozen=True)
class ConversationEncoder:
    """A template, and the tokenizer and form of the model that learns; see the module."""

    chat: Chat
    tokenizer: Tokenizer
    form: TextFormat

    @cached_property
    def _special(self) -> "Tokenizer":
        return self.tokenizer.with_specials()

    @cached_property
    def _names(self) -> Sequence[str]:
        """Special tokens that a template can write, by name, longest first; not the one of line ends."""
        names = self._special.names if self._special.parses_specials else {}
        own = [name.decode(errors="replace") for name, token in names.items() if token != self.form.newline_id]
        return sorted(own, key=len, reverse=True)

    @property
    def marks(self) -> Sequence[str]:
        """Texts that no message may have: those that separate turns, and names of special tokens."""
        names = (name for name in without_tags(self._names) if len(name) > 1)
        return tuple(dict.fromkeys((*self.chat.marks, *names)))

    @cached_property
    def end(self) -> int:
        """The model's own end of what is generated. Raises DataError where it has none."""
        found = ends_of(self.form)
        if not found:
            raise DataError("the model has no token that ends a text", hint="--template with one that ends an answer")
        own = [token for token in self.form.ends if token in found]
        return own[0] if own else found[0]

    @cached_property
    def _tail(self) -> str:
        """What the template writes behind the last answer of a conversation; nothing where one can't be tried."""
        said = "answer to see what follows it"
        try:
            asked = {"role": USER, "content": "question"}
            written = self.chat.write([asked, {"role": ASSISTANT, "content": said}], False, {})
        except DataError:  # such as of a template that asks for a system message
            return ""
        return written.rpartition(said)[2] if said in written else ""

    def turns(self, messages: Messages, *, last: bool = False) -> list[Turn]:
        """What the template is given for each answer, or the `last`: the messages before it, and those up to it."""
        places = self._answers(messages, last=last)
        found = list[Turn]()
        for place in places:
            found += [(messages[:place], True, {}), (messages[: place + 1], False, {})]
        return found

    def encode(self, messages: Messages, texts: Iterator[str], *, last: bool = False) -> EncodedConversation:
        """Return the sequences of a conversation, `texts` being those of its `turns`. Raises DataError."""
        answers = [str(messages[place]["content"]) for place in self._answers(messages, last=last)]
        found = list[AnswerSequence]()
        joints, before = 0, ""
        for answer in answers:
            turn: AnsweredPrompt = self.answered(next(texts), next(texts), answer)
            parts, apart = self._encoded(turn)
            joints += apart
            grown = bool(found) and before and turn.prompt.startswith(before)
            if grown and self._begins_with(parts[0], found[-1].ids):
                size = len(found[-1].ids)
                rest = answer_sequences.joined([(parts[0][size:], False), (parts[1], True)])
                found[-1] = AnswerSequence(
                    np.concatenate((found[-1].ids, rest.ids)), np.concatenate((found[-1].learned, rest.learned))
                )
            else:
                found.append(answer_sequences.joined([(parts[0], False), (parts[1], True)]))
            before = turn.prompt + turn.answer + turn.end if turn.end else ""
        return EncodedConversation(found, joints)

    def answered(self, before: str, whole: str, answer: str) -> AnsweredPrompt:
        """Return an answer in its template, given the texts before it and with it. Raises DataError."""
        prompt, joint = open_ended(before)
        begins = whole.startswith(prompt)
        rest = whole[len(prompt) :] if begins else whole
        said = next((one for one in (answer, answer.strip()) if rest.endswith(one + self._tail)), None)
        if said is not None:
            place = len(rest) - len(self._tail) - len(said)
        else:  # what follows an answer depends on the conversation
            said = answer if answer in rest else answer.strip()
            place = rest.find(said) if begins else rest.rfind(said)
        if place < 0:
            raise DataError("the template does not write the assistant's answer as it is")
        lead = rest[:place] if begins else joint
        tail = rest[place + len(said) :]
        ends = [(tail.find(name), -len(name), name) for name in self._names if name in tail]
        if not ends:
            return AnsweredPrompt(prompt, lead + said, "")
        at, _, name = min(ends)
        return AnsweredPrompt(prompt, lead + said, tail[: at + len(name)])

    @staticmethod
    def _answers(messages: Messages, *, last: bool) -> list[int]:
        places = [place for place, message in enumerate(messages) if message["role"] == ASSISTANT]
        return places[-1:] if last else places

    def _encoded(self, turn: AnsweredPrompt) -> tuple[tuple[I32, I32], bool]:
        """Return the tokens of a prompt and of the answer with its end, and whether a token would be of both."""
        text = turn.answer + turn.end
        prompt = self._ids(turn.prompt)
        whole = self._ids(turn.prompt + text)
        apart = not self._begins_with(whole, prompt)
        if not apart:
            answer = whole[len(prompt) :]
        else:
            alone = self._ids(text)
            spelled = decode_text(self._special, self.form, [*prompt.tolist(), *alone.tolist()])
            if spelled == (turn.prompt + text).encode():
                answer = alone
            else:
                shared = next(at for at in range(len(prompt)) if at >= len(whole) or whole[at] != prompt[at])
                prompt, answer = prompt[:shared], whole[shared:]
        if not turn.end:
            answer = np.append(answer, np.int32(self.end))
        return (self.form.begun(prompt), answer.astype(np.int32)), apart

    def _ids(self, text: str) -> I32:
        return encode_prompt(self._special, self.form, text.encode())

    @staticmethod
    def _begins_with(ids: I32, first: I32) -> bool:
        return len(first) <= len(ids) and bool((ids[: len(first)] == first).all())
