"""`lmkit calc rnn-step`, `lstm-step` and `gru-step`: one step of a recurrent cell."""

from collections.abc import Mapping
from typing import Any

from lmkit.architectures.recurrent import GATES
from lmkit.commands.calc.json_arrays import Fields, Values, answer, each
from lmkit.commands.options.standard import Json, Output, Run


def rnn_step(run: Run, values: Values = None, json: Json = False, output: Output = None) -> None:
    """Compute one step of a simple (Elman) recurrent network.

    h' = tanh(w_ih x + b_ih + w_hh h + b_hh), and with `w_ho` also y = softmax(w_ho h' + b_ho). Each input is an
    object of these names. A missing `h` or bias is 0, so a single bias goes into `b_ih`. A matrix is an array of
    rows, one per number of its result. Input and output are one JSON value per line.

    Examples:
      lmkit calc rnn-step '{"x": [1], "h": [0.5], "w_ih": [[0.5]], "w_hh": [[0.1]], "b_ih": [0.1]}'
      lmkit calc rnn-step '{"x": [1], "w_ih": [[1], [2]], "w_hh": [[0, 1], [1, 0]]}'
    """
    from lmkit.inference import functional

    def step(value: Any) -> Mapping[str, Any]:
        cell = _Cell(value, "elman", ("w_ho", "b_ho"))
        found = {"h": functional.elman_step(cell.x, cell.h, *cell.weights)}
        w_ho = cell.fields.matrix("w_ho", columns=cell.width)
        if w_ho is not None:
            found["y"] = functional.softmax(functional.linear(found["h"], w_ho, cell.fields.vector("b_ho", len(w_ho))))
        return found

    _each_step(values, output, step)


def lstm_step(run: Run, values: Values = None, json: Json = False, output: Output = None) -> None:
    """Compute one step of an LSTM.

    i, f, o = sigmoid(...) and g = tanh(...) of w_ih x + b_ih + w_hh h + b_hh, whose rows are those of i, f, g and
    o in this order, as in torch; c' = f c + i g; h' = o tanh(c'). Each input is an object of these names. A
    missing `h`, `c` or bias is 0. Input and output are one JSON value per line.

    Examples:
      lmkit calc lstm-step '{"x": [1], "w_ih": [[1], [1], [1], [1]], "w_hh": [[0], [0], [0], [0]]}'
      lmkit calc lstm-step < steps.jsonl
    """
    from lmkit.inference import functional

    def step(value: Any) -> Mapping[str, Any]:
        cell = _Cell(value, "lstm", ("c",))
        hidden, memory = functional.lstm_step(cell.x, cell.h, cell.state("c"), *cell.weights)
        return {"h": hidden, "c": memory}

    _each_step(values, output, step)


def gru_step(run: Run, values: Values = None, json: Json = False, output: Output = None) -> None:
    """Compute one step of a GRU.

    r, z = sigmoid(w_ih x + b_ih + w_hh h + b_hh) and n = tanh(w_ih x + b_ih + r (w_hh h + b_hh)), each with its
    own rows, in the order r, z, n, as in torch; h' = (1 - z) n + z h. Each input is an object of these names. A
    missing `h` or bias is 0. Input and output are one JSON value per line.

    Examples:
      lmkit calc gru-step '{"x": [1], "h": [0.5], "w_ih": [[1], [1], [1]], "w_hh": [[0], [0], [0]]}'
      lmkit calc gru-step < steps.jsonl
    """
    from lmkit.inference import functional

    def step(value: Any) -> Mapping[str, Any]:
        cell = _Cell(value, "gru")
        return {"h": functional.gru_step(cell.x, cell.h, *cell.weights)}

    _each_step(values, output, step)


def _each_step(values: Any, output: str | None, step: Any) -> None:
    import numpy as np

    with np.errstate(all="ignore"):  # `answer` reports what is too large
        each(values, output, lambda value: answer(step(value)))


class _Cell:
    """Input, state and weights of a cell, of sizes that fit."""

    def __init__(self, value: Any, kind: str, more: tuple[str, ...] = ()) -> None:
        self.fields = Fields(value, ("x", "w_ih", "w_hh"), ("h", "b_ih", "b_hh", *more))
        self.x = self.fields.vector("x")
        w_hh = self.fields.matrix("w_hh")
        self.width = w_hh.shape[1]
        rows = GATES[kind] * self.width
        self.fields.matrix("w_hh", rows, self.width)
        w_ih = self.fields.matrix("w_ih", rows, len(self.x))
        self.weights = (w_ih, w_hh, self.fields.vector("b_ih", rows), self.fields.vector("b_hh", rows))
        self.h = self.state("h")

    def state(self, name: str) -> Any:
        """A state, zeros where it is not there."""
        import numpy as np

        state = self.fields.vector(name, self.width)
        return np.zeros(self.width) if state is None else state
