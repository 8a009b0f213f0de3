"""The context in which a model meets each line of a text that is coded: none, or what the lines before left.

A blank line ends a document of models that read documents between blank lines: it costs the document's end token, and
further blank lines next to nothing. White space makes no line blank here, since it must come back. Knows no files.
"""

from lmkit.compression.adaptive_models import AdaptiveBit
from lmkit.compression.arithmetic_coder import Coder
from lmkit.compression.quantized_distributions import Distributions, Node
from lmkit.protocols import SequenceFormat


class LineContexts:
    """Where a model is at the beginning of each line; a decoder ignores what it is given."""

    def __init__(self, coder: Coder, distributions: Distributions, form: SequenceFormat | None) -> None:
        """Lines follow each other as the form says; without one each is the first of a text."""
        self._coder, self._distributions = coder, distributions
        self._form = form
        self.node: Node | None = None
        """Where the model is after the lines so far; None at the beginning of a document."""
        self._blank = AdaptiveBit(4, 1)

    @property
    def document_end(self) -> int | None:
        """The token that a blank line is at this place; None where it is a line like any other."""
        by_blank_line = self._form is not None and self._form.by == "blank-line"
        return self._form.document_end if self._form and by_blank_line and self.node is not None else None

    def begin(self) -> Node:
        """Where the model is at the beginning of a line."""
        return self.node if self.node is not None else self._distributions.start()

    def skipped(self, blank: int) -> int:
        """Code whether a line is blank that begins a document, and return it; 0 where blank lines are lines."""
        if self._form is None or self._form.by != "blank-line" or self.node is not None:
            return 0
        return self._blank.code(self._coder, blank)

    def end_line(self, node: Node, newline_id: int) -> None:
        """A line ended after a place."""
        if self._form is not None:
            self.node = self._distributions.after(node, newline_id)

    def end_document(self) -> None:
        """A blank line ended a document."""
        self.node = None
