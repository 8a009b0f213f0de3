"""Build the generator and the writer that the options of `lmkit sample` ask for."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from lmkit.commands.generation import search as search_options
from lmkit.commands.generation import step_trace, writers
from lmkit.commands.generation.constraints import ConstraintReport
from lmkit.commands.generation.search import SearchPlan
from lmkit.commands.generation.speculative import SpeculativeOptions, tell
from lmkit.commands.loading import models as opening
from lmkit.commands.options.generation import OutputOptions
from lmkit.commands.options.sampling import SamplingOptions
from lmkit.commands.options.standard import Run
from lmkit.generation import prompt_encoding, workers
from lmkit.generation.batching import is_batched
from lmkit.generation.engine import BatchedStepper, Generator, SequentialStepper, Stepper
from lmkit.generation.speculative_decoding import Speculation
from lmkit.io.streams import Output


class GeneratorFactory:
    """A generator as it is asked for, and its tellers; `batch` texts at once at most, where that can be.

    `growing`: texts are told of as they grow. `processes` may share them.

    Raises CheckpointError where the model can't generate that way, UsageError for filters in no order.
    """

    def __init__(
        self, run: Run, model: Any, choosing: SamplingOptions, search: SearchPlan | None,
        drafting: SpeculativeOptions, showing: OutputOptions,
        verdicts: ConstraintReport, *, number: int, most: int, stops: Sequence[bytes], batch: int, processes: int,
        growing: bool,
    ) -> None:  # fmt: skip
        self._verdicts = verdicts
        self._run, self._model, self._search, self._showing, self._number = run, model, search, showing, number
        self._filters = choosing.filtering.names
        self._speculation: Speculation | None = None
        never = prompt_encoding.never(model, unknown=choosing.unknown)
        self.generator: Any
        if search is not None:
            self.generator = search_options.runner(
                search, model, number=number, top_k=choosing.top_k, most=most, stops=stops, never=never,
                penalties=choosing.penalties(),
            )  # fmt: skip
            return
        chooser = choosing.chooser(never)
        watch = step_trace.watch(model, most=showing.logprobs, explain=showing.explain)
        stepper: Stepper
        if drafting.asked:
            stepper = self._speculation = drafting.stepper(model, chooser)
        elif watch is not None or choosing.mirostat is not None:
            stepper = SequentialStepper(model, chooser, watch)
        else:
            make = partial(BatchedStepper if is_batched(model) and batch > 1 else SequentialStepper, model, chooser)
            stepper = make()
            if workers.pay(processes, batch):
                before = opening.one_thread
                stepper = workers.Workers(model, make, most=most, stops=stops, count=processes, before=before)
        batch = batch if isinstance(stepper, BatchedStepper | workers.Workers) else 1
        self.generator = Generator(model, stepper, most=most, stops=stops, batch=batch, growing=growing)

    def teller(self, out: Output, *, as_records: bool, files: bool) -> writers.Writer:
        """What writes texts, or records, or a table of steps; several texts of each prompt of `files` are numbered."""
        search, model, showing = self._search, self._model, self._showing
        sampled = files and self._number > 1
        teller: writers.Writer
        if as_records:
            teller = writers.JsonlWriter(out, model, self._more, sampled=sampled)
        elif showing.explain and search is None:
            self._run.terminal.notice(f"order {','.join(self._filters) or 'of no filters'}")
            return step_trace.StepTableWriter(out, sampled=sampled)
        else:
            several = files or self._number > 1
            teller = writers.TextWriter(out, model, echo=showing.echo, several=several, separator=showing.separator)
        if search is None:
            return teller
        return search_options.SearchWriter(
            self._run, teller, search, model, out, steps=showing.explain and not as_records
        )

    def _more(self, done: Any) -> dict[str, Any]:
        """What a record says besides of how its text was made."""
        if self._search is None:
            return {"order": self._filters, **self._verdicts.said(done), **step_trace.said(done)}
        return search_options.more(self._search, done, self._model)

    def tell(self) -> None:
        """Says on stderr how it went, where that is of interest."""
        if self._speculation is not None:
            tell(self._run, self._speculation)
