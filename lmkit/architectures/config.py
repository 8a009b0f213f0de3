"""What the settings of every family share: made from JSON, checked, and counted."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lmkit.architectures.context_window import ContextWindow
from lmkit.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from lmkit.architectures.heads import Head

LAYERS = 1 << 12
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(ABC):
    """The settings of a model; all that its tensors' names and shapes depend on.

    Raises UsageError where they make no model.
    """

    kind: ClassVar[str] = ""
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    may_be_zero: ClassVar[frozenset[str]] = frozenset()
    """Whole numbers that may be 0, where others are 1 at least."""
    stateful: ClassVar[bool] = False
    """Whether a state carries what it needs of the text before; else it sees no more than one window."""
    batching: ClassVar[str] = "crops"
    """How it learns a long text: by `crops` of it from anywhere, or by `streams` that are read end to end."""

    vocabulary: int
    """V, the number of token ids."""

    def __post_init__(self) -> None:
        for name, names in self.choices.items():
            if getattr(self, name) not in names:
                raise UsageError(f"{name} {getattr(self, name)!r} is not one of {', '.join(names)}")
        for field in fields(self):
            value = getattr(self, field.name)
            least = int(field.name not in self.may_be_zero)
            if field.type is int and not least <= value < 1 << 31:
                raise UsageError(f"{field.name.replace('_', ' ')} {value} is outside {least} to {(1 << 31) - 1}")
        if getattr(self, "layers", 0) > LAYERS:  # names are made for the tensors of each
            raise UsageError(f"{getattr(self, 'layers', 0)} layers are more than {LAYERS}")

    @property
    def context(self) -> int | None:
        """The most tokens seen before the next; None: all."""
        return None

    @property
    def sequence_limit(self) -> int | None:
        """The most tokens that the network takes at once; None: any number."""
        return None if self.stateful else self.context

    @property
    def gates(self) -> int:
        """How many maps lie one upon another in each of `matrices`."""
        return 1

    def window(self, stride: int | None = None) -> ContextWindow | None:
        """Return what is seen of a long text, None for all of it: with a state the window moves on by one token.

        `stride` is half the context if not given. Raises UsageError for one that no window can move by.
        """
        if self.context is None:
            return None
        if self.stateful:
            return ContextWindow(self.context, 1)
        stride = max(1, self.context // 2) if stride is None else stride
        if not 1 <= stride <= self.context:
            raise UsageError(f"stride {stride} is outside 1 to {self.context}, the model's context")
        return ContextWindow(self.context, stride)

    @property
    def head(self) -> "Head | None":
        """The head, None for a body alone."""
        return None

    @abstractmethod
    def body_shapes(self) -> Shapes:
        """Name and shape of every tensor of the body."""

    def shapes(self) -> Shapes:
        """Name and shape of every tensor of weights: the body's, then the head's."""
        return self.body_shapes() | (self.head.shapes() if self.head is not None else {})

    @abstractmethod
    def matrices(self) -> list[str]:
        """Names of the tensors that multiply hidden vectors: neither embeddings, head, biases nor norms."""

    @property
    def parameters(self) -> int:
        """How many numbers the model learns."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    @property
    def forward_flops(self) -> int:
        """Floating-point operations of a token's way through the model: two for each weight of its maps and head."""
        shapes = self.body_shapes()
        head = self.head.products if self.head is not None else 0
        return 2 * (head + sum(math.prod(shapes[name]) for name in self.matrices()))

    def to_json(self) -> dict[str, Any]:
        """The settings as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Settings out of a checkpoint. Raises CheckpointError where they are none."""
        own: dict[str, Any] = {}
        for field in fields(cls):
            value = values.get(field.name, values)  # no setting is this object itself
            if not _fits(value, field.type):
                raise CheckpointError(f"damaged checkpoint: setting {field.name!r} is absent or invalid")
            own[field.name] = float(value) if field.type is float else value
        try:
            return cls(**own)
        except UsageError as error:
            raise CheckpointError(f"damaged checkpoint: {error}") from None


def linear(name: str, rows: int, columns: int, bias: bool) -> Shapes:
    """Shapes of a linear map from `columns` numbers to `rows`."""
    own: Shapes = {f"{name}.weight": (rows, columns)}
    return own | ({f"{name}.bias": (rows,)} if bias else {})


def _fits(value: object, kind: object) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind if isinstance(kind, type) else value is None or isinstance(value, dict)
