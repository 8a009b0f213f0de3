"""Perplexities as records and rows: a model's name, signature and totals, and how they are shown."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options.standard import Run
from lmkit.io import outputs
from lmkit.io.records import Table, cell
from lmkit.protocols import LanguageModel

if TYPE_CHECKING:
    from lmkit.evaluation.perplexity import Totals

COLUMNS = (
    "perplexity", "perplexity_known", "tokens", "unknown_tokens", "nats",
    "bits_per_token", "bits_per_word", "bits_per_character", "bits_per_byte",
)  # fmt: skip


class ModelScore:
    """A model with its name, its signature, its running total, and what its records say beside the numbers."""

    def __init__(self, run: Run, name: str, model: LanguageModel, signature: Mapping[str, str], **more: Any) -> None:
        from lmkit.evaluation.perplexity import Totals

        self.name = name
        self.model = model
        self.signature = opening.signature(model, signature)
        self.total = Totals()
        self._more = more
        self._notice = run.terminal.notice
        self._windows = scoring_models.ContextNotice(run, name, model)
        opening.tell_not_probabilities(run, name, model)

    def add(self, totals: "Totals") -> None:
        """Adds a text's totals."""
        self.total.add(totals)
        if self.model.form.by in ("stream", "file"):  # else a text is many sequences
            self._windows.tell(totals.tokens)

    def spelled(self) -> list[str]:
        """The first few n-grams of probability zero."""
        return [self.model.tokenizer.decode(ids).decode(errors="replace") for ids in self.total.impossible]

    def tell_impossible(self) -> None:
        """Names what made a perplexity infinite."""
        if self.total.impossible:
            self._notice(
                f"{self.name}: the perplexity is infinite, because these have probability zero: "
                + ", ".join(map(repr, self.spelled()))
            )

    def record(self, text: str, totals: "Totals") -> dict[str, Any]:
        """The numbers of a text under this model."""
        record = {"file": text, **numbers_of(totals), "signature": self.signature, "model": self.name, **self._more}
        if totals.impossible:
            record["impossible"] = self.spelled()
        return record


def numbers_of(totals: "Totals") -> dict[str, Any]:
    """What records say of totals, under COLUMNS."""
    return {
        "perplexity": totals.perplexity if totals.tokens else None,
        "perplexity_known": totals.perplexity_known if totals.tokens > totals.unknown_tokens else None,
        "tokens": totals.tokens,
        "unknown_tokens": totals.unknown_tokens,
        "nats": totals.nats,
        "bits_per_token": totals.bits_per(totals.tokens),
        "bits_per_word": totals.bits_per(totals.words),
        "bits_per_character": totals.bits_per(totals.characters),
        "bits_per_byte": totals.bits_per(totals.bytes),
    }


def rank_models(run: Run, scored: Sequence[ModelScore]) -> list[ModelScore]:
    """Models by bits per byte of all that they read, fewest first, of equals the first named; tells the best."""
    found = sorted(scored, key=lambda one: one.total.bits_per(one.total.bytes))
    bits = found[0].total.bits_per(found[0].total.bytes)
    run.terminal.notice(f"fewest bits per byte: {found[0].name} ({cell(bits)})")
    return found


class ScoreReport:
    """Prints records as they come."""

    def __init__(self, run: Run, out: outputs.Output, *, as_json: bool, bare: bool, several_models: bool) -> None:
        self._run, self._out, self._bare = run, out, bare
        columns = (*(("model",) if several_models else ()), "file", *COLUMNS, "signature")
        self._table = Table(out, columns, as_json=as_json, behind=("signature",))

    def add(self, record: dict[str, Any], *, last: bool = False) -> None:
        """Prints a record; of bare numbers only those of totals, which come `last`."""
        if not self._bare:
            self._table.row(self._run.signed(record))
        elif last:
            self._out.line(repr(record["perplexity"]))
