"""Many texts shared among processes: each runs some of them, and they are those that one process would make.

Steps of small models are mostly Python's, of which one process does one thing at a time; in those of big ones only
the products are shared by threads. Processes come by fork, so that a model lies in memory once.
"""

import json
import os
import signal
import socket
import sys
import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NoReturn

import numpy as np

from lmkit.errors import CheckpointError, LmkitError, ProcessError
from lmkit.generation import prompt_encoding
from lmkit.generation.engine import ActiveSequence, GeneratingText, Request, Step, Stepper
from lmkit.generation.sampler import NoCandidateError
from lmkit.generation.stop_strings import StopStringMatcher
from lmkit.protocols import LanguageModel

LEAST = 8
"""Texts for which a process pays."""
AHEAD = 0.05
"""Seconds for which processes run before they report."""
MOST = 64
"""Steps for which they do at most."""


def pay(processes: int, texts: int) -> bool:
    """Whether so many processes would share so many texts; they come by fork, which is safe on Linux alone."""
    return sys.platform == "linux" and min(processes, texts // LEAST) > 1


class Share:
    """Texts that one process runs, several tokens at a time, up to their ends or to `most`."""

    def __init__(self, model: LanguageModel, make: Callable[[], Stepper], most: int, stops: Sequence[bytes]) -> None:
        self._stepper = make()
        self.model, self._most, self._stops = model, most, stops
        self._ends = prompt_encoding.ends_of(model.form)
        self._rows: list[GeneratingText] = []
        self._going: list[int] = []

    def run(self, kept: Sequence[int], joined: Sequence[Request], steps: int) -> list[Step]:
        """The next tokens of each text, up to `steps` or its end, or until a fourth of all ended; or that none is.

        Only those `kept`, by their places of before, none of them ended, are continued, and those `joined` after them.
        Raises LmkitError.
        """
        self._keep(kept)
        self._join(joined)
        begins = [len(row.ids) for row in self._rows]
        for step in range(steps if self._going else 0):
            if step:
                going = [place for place, row in enumerate(self._going) if not self._rows[row].finish_reason]
                if len(going) <= len(self._rows) * 3 // 4:  # others may wait for their places
                    break
                self._only(going)
            for row, tokens in zip(self._going, self._stepper.step(), strict=True):
                self._rows[row].take(tokens, self._ends, self._most)
        found = [[*row.ids[begin:], *row.closing] for row, begin in zip(self._rows, begins, strict=True)]
        return [tokens or row.failure or tokens for tokens, row in zip(found, self._rows, strict=True)]

    def _keep(self, kept: Sequence[int]) -> None:
        wanted = {row for row in kept if self._rows[row].failure is None}
        self._only([place for place, row in enumerate(self._going) if row in wanted])
        self._rows = [self._rows[row] for row in kept]
        self._going = [place for place, row in enumerate(self._rows) if row.failure is None]

    def _only(self, places: list[int]) -> None:
        """Keep only those at some places of the stepper."""
        self._stepper.keep(places)
        self._going = [self._going[place] for place in places]

    def _join(self, requests: Sequence[Request]) -> None:
        form, tokenizer = self.model.form, self.model.tokenizer
        rows = [
            GeneratingText(request, transcript=StopStringMatcher(tokenizer, form, self._stops)) for request in requests
        ]
        if rows:
            self._stepper.join(rows)
        self._going += range(len(self._rows), len(self._rows) + len(rows))
        self._rows += rows


class Worker:
    """A process with a share of its own, which is asked and answers in lines of JSON."""

    def __init__(self, share: Share, others: Sequence["Worker"]) -> None:
        self._socket, theirs = socket.socketpair()
        self._lines = self._socket.makefile("rb")
        self.process = os.fork()
        if self.process == 0:
            for other in [self, *others]:  # whose ends would otherwise stay open when their owner is gone
                other._lines.close()
                other._socket.close()
            _serve(theirs, share)
        theirs.close()
        weakref.finalize(self, _end, self._lines, self._socket, self.process, os.getpid())

    def ask(self, kept: Sequence[int], joined: Sequence[Request], steps: int) -> None:
        """Ask it to do as `Share.run` does. Raises ProcessError."""
        texts = [
            (request.stream, request.prompt.tolist(), None if request.source is None else request.source.tolist())
            for request in joined
        ]
        try:
            self._socket.sendall(_line([kept, texts, steps]), socket.MSG_NOSIGNAL)
        except OSError:
            raise _gone() from None

    def found(self) -> list[Step]:
        """What `Share.run` gives. Raises as it does, and ProcessError."""
        try:
            answer = json.loads(self._lines.readline() or "null")
        except OSError:
            raise _gone() from None
        if answer is None:
            raise _gone()
        if "message" in answer:
            raise CheckpointError(answer["message"], hint=answer["hint"])
        return [row if isinstance(row, list) else NoCandidateError(hint=row["hint"]) for row in answer["rows"]]


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _gone() -> LmkitError:
    return ProcessError("a worker process was killed", hint="use --threads 1 to run without workers")


def _end(lines: Any, own: socket.socket, process: int, owner: int) -> None:
    """End a worker process that is no longer used, unless this process is not the one that started it."""
    lines.close()
    own.close()
    if os.getpid() == owner:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _serve(asked: socket.socket, share: Share) -> NoReturn:
    """Worker loop; ends when the parent closes the socket."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives it too and ends this process
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        last: tuple[Any, Any] = ([], None), share.model.start
        for line in asked.makefile("rb"):
            kept, texts, steps = json.loads(line)
            joined = []
            for stream, prompt, source in texts:
                ids = np.array(prompt, dtype=np.int32)
                if (prompt, source) != last[0]:  # samples of one prompt share its state
                    given = None if source is None else np.array(source, dtype=np.int32)
                    last = (prompt, source), cache(partial(prompt_encoding.state_after, share.model, ids, given))
                joined.append(Request(stream, ids, last[1]))
            asked.sendall(_line(_answer(share, kept, joined, steps)))
    except OSError:  # the parent is gone
        pass
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)


def _answer(share: Share, kept: Sequence[int], joined: Sequence[Request], steps: int) -> dict[str, Any]:
    try:
        found = share.run(kept, joined, steps)
    except LmkitError as error:
        return {"message": str(error), "hint": error.hint}
    return {"rows": [{"hint": row.hint} if isinstance(row, NoCandidateError) else row for row in found]}


class Workers:
    """A `Stepper` whose rows are shared by processes, `count` at most; others start when there are rows for them.

    Each has a stepper of its own, which `make` makes, and runs alone for a while; rows with a constraint or a
    control stay here. `before` is called before others start.
    """

    def __init__(
        self, model: LanguageModel, make: Callable[[], Stepper], *, most: int, stops: Sequence[bytes] = (), count: int,
        before: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._share = partial(Share, model, make, most, stops)
        self._count, self._before = count, before
        self._bound, self._own = make(), self._share()
        self._others: list[Worker] = []
        self._places: list[tuple[int, int]] = []  # whose each row is, and which: bound ones come first, then ours
        self._kept: list[list[int]] = [[], []]
        self._joined: list[list[ActiveSequence]] = [[], []]
        self._steps = 1

    def join(self, rows: Sequence[ActiveSequence]) -> None:
        """See `Stepper.join`."""
        bound = [row.request.constraint is not None or row.request.control is not None for row in rows]
        if not self._others:
            self._start(min(self._count, (len(self._places) + len(rows) - sum(bound)) // LEAST) - 1)
        for row, stays in zip(rows, bound, strict=True):
            sizes = [len(kept) + len(joined) for kept, joined in zip(self._kept, self._joined, strict=True)]
            owner = 0 if stays else 1 + sizes[1:].index(min(sizes[1:]))
            self._places.append((owner, sizes[owner]))
            self._joined[owner].append(row)

    def _start(self, count: int) -> None:
        if count > 0:
            self._before()
        for _ in range(count):
            self._others.append(Worker(self._share(), self._others))
            self._kept.append([])
            self._joined.append([])

    def step(self) -> list[Step]:
        """See `Stepper.step`."""
        requests = [[row.request for row in joined] for joined in self._joined]
        for worker, kept, joined in zip(self._others, self._kept[2:], requests[2:], strict=True):
            worker.ask(kept, joined, self._steps)
        begun = time.perf_counter()
        own = self._own.run(self._kept[1], requests[1], self._steps)
        done = max((len(tokens) for tokens in own if isinstance(tokens, list)), default=1)
        self._steps = max(1, min(MOST, int(AHEAD * done / (time.perf_counter() - begun))))
        if self._joined[0]:
            self._bound.join(self._joined[0])
        bound = self._bound.step() if self._kept[0] or self._joined[0] else []
        others = [worker.found() for worker in self._others]
        found: list[Sequence[Step]] = [bound, own, *others]
        return [found[owner][place] for owner, place in self._places]

    def keep(self, rows: Sequence[int]) -> None:
        """See `Stepper.keep`."""
        self._kept = [[] for _ in self._kept]
        self._joined = [[] for _ in self._joined]
        places = self._places
        self._places = []
        for owner, place in (places[row] for row in rows):
            self._places.append((owner, len(self._kept[owner])))
            self._kept[owner].append(place)
        self._bound.keep(self._kept[0])
