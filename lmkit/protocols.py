"""The interfaces that models and tokenizers answer; knows no model and no tokenizer.

Log-probabilities are natural (nats) and float64. States are values that the caller owns:
`advance` returns a new one and leaves the old one good, so that searches branch freely.

Shapes: N tokens, S sentences, V vocabulary.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeGuard

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    I32 = npt.NDArray[np.int32]
    I64 = npt.NDArray[np.int64]
    U8 = npt.NDArray[np.uint8]
    U32 = npt.NDArray[np.uint32]
    U64 = npt.NDArray[np.uint64]
    F32 = npt.NDArray[np.float32]
    F64 = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.signedinteger[Any]]
    Floats = npt.NDArray[np.floating[Any]]
    Bool = npt.NDArray[np.bool_]
else:  # help and usage errors import the protocols, and are to load no numpy
    I32 = I64 = U8 = U32 = U64 = F32 = F64 = Ints = Floats = Bool = Any

ProgressCallback = Callable[[str, int], Callable[[int], None]]
"""From the name and size of a stage of long work to a function that takes how much of it is done."""


def no_progress(_name: str, _size: int) -> Callable[[int], None]:
    """A ProgressCallback that shows nothing."""
    return lambda _done: None


State = Any
"""Whatever the family keeps between tokens; immutable by contract."""


class Tokenizer(Protocol):
    """Text to token ids and back."""

    @property
    def kind(self) -> str:
        """`word`, `char` and `byte`, which `--tokens` takes by name; `bpe` and others."""

    @property
    def size(self) -> int:
        """Number of ids, special ones included."""

    @property
    def specials(self) -> Mapping[str, int]:
        """Ids of `unk`, `bos` and `eos` (`<unk>`, `<s>`, `</s>`), those that exist."""

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over kind and pieces: equal digests encode alike."""

    @property
    def accepts_any_bytes(self) -> bool:
        """Whether any bytes will do, text or not."""

    @property
    def names(self) -> Mapping[bytes, int]:
        """Special tokens by name, which text never becomes unless asked; none where text may spell them all."""

    @property
    def parses_specials(self) -> bool:
        """Whether names of special tokens in a text mean these tokens."""

    @property
    def separator(self) -> bytes | None:
        """Bytes between two pieces in a text; None where pieces alone do not say what text they make."""

    @property
    def unit(self) -> str | None:
        """What text is cut into, whatever the vocabulary has: `word` or `character`; None for other cuts."""

    @property
    def is_subword(self) -> bool:
        """Whether pieces are learned parts of words, which an `encoder` with options finds."""

    @property
    def has_merges(self) -> bool:
        """Whether it has the merges, pieces and scheme of byte-pair encoding."""

    @property
    def ends_words(self) -> bool:
        """Whether pieces say where words end; then text loses all white space but that."""

    @property
    def spells_whitespace(self) -> bool:
        """Whether pieces hold all white space, line ends too, so that text is taken as it is."""

    @property
    def local(self) -> bool:
        """Whether tokens that follow a few others are always spelled alike, but for characters of several tokens."""

    @property
    def json(self) -> bytes | None:
        """The tokenizer.json that it came as and is served by; None where lmkit runs it."""

    def encode(self, text: bytes) -> I32:
        """Ids of one line of UTF-8 text without its line end; no `bos` or `eos` added."""

    def encode_stream(self, blocks: Iterable[bytes]) -> Iterator[I32]:
        """Ids of one text, as if it were encoded at once; blocks may be cut anywhere, and none ends the last line.

        Memory is bounded by the longest line where text is split at line ends: words, characters, bytes, merges
        under a named pattern, and tokenizer.json files that split as GPT-2 does. Others need the whole text. Line
        ends are tokens where there is one for them; to words they are white space, to characters unknown unless
        the vocabulary has them.
        """

    def encode_block(self, block: bytes) -> tuple[I32, I64]:
        """Ids of whole lines, (N,), and the end of each line in them, (S,)."""

    def decode(self, ids: Sequence[int]) -> bytes:
        """The text that the ids spell; special tokens as their names."""

    def with_specials(self) -> "Tokenizer":
        """The same tokenizer, to which names of special tokens in a text mean these tokens."""

    def piece(self, token: int) -> bytes:
        """The piece of one id, as UTF-8."""

    def is_byte(self, token: int) -> bool:
        """Whether a token is a byte that is spelled together with those beside it."""

    def written(self, token: int) -> bytes:
        """A token as the tokenizer's own files write it."""

    def fields(self) -> list[bytes]:
        """Every piece, (V,), as a field of files whose fields white space separates."""

    def spellings(self, hidden: set[int]) -> tuple[Sequence[bytes | None], Sequence[bytes | None], Bool]:
        """What tokens append to a text: see `tokenization.token_bytes.TokenBytes`; `hidden` ones append nothing."""

    def limited(self, counts: I64, most: int | None, minimum: int) -> "tuple[Tokenizer, I32] | None":
        """A tokenizer of its `most` frequent tokens, seen `minimum` times, and their new ids by the old, (V,).

        None where its vocabulary can't be smaller.
        """

    def describe(self) -> dict[str, Any]:
        """What a checkpoint says of it besides kind, size, digest and specials."""

    def tensors(self) -> Mapping[str, Any]:
        """The arrays of a checkpoint that go with `describe`."""


class TokenScore(NamedTuple):
    """One factor of a text's probability: the token, the context seen before it, the order that answered, nats.

    The order of a neural model is the length of that context, its start token included.
    """

    token: int
    context: tuple[int, ...]
    order: int
    nats: float


class SequenceFormat(Protocol):
    """How text becomes the sequences that a model reads; see `data.sequences.TextFormat`."""

    @property
    def by(self) -> str:
        """What is a sequence of its own: the whole `stream`, a `line`, a `file`, or what lies between blank lines."""

    @property
    def start(self) -> int:
        """The token before the first of a sequence."""

    @property
    def newline_id(self) -> int | None:
        """The token at the end of a line; None: line ends are text."""

    @property
    def document_end(self) -> int | None:
        """The token at the end of a sequence, where `newline_id` is not that."""

    @property
    def ends(self) -> Sequence[int]:
        """Other tokens that end what is generated."""

    @property
    def bos(self) -> str:
        """Whether the start token is in front `always`, only where it would be `alone`, or `never`."""

    @property
    def barred(self) -> Sequence[int] | None:
        """Tokens that are never written; None: the start token and the unknown one."""

    @property
    def multiline(self) -> bool:
        """Whether a sequence may have several lines."""

    def begun(self, ids: I32) -> I32:
        """The inputs of a prompt: its ids, and the start token where it has one in front. Raises DataError."""


class LanguageModel(Protocol):
    """A distribution over the next token given those before.

    Laws, held by tests over every kind: `next` sums to one where `normalised`;
    `score_many` equals stepping with `advance` and `next`; a prefix scores the same
    whatever follows; old states stay good.
    """

    @property
    def kind(self) -> str:
        """What `info` calls it: `ngram`, `rnn`, `transformer`, ..."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the model was fitted with."""

    @property
    def form(self) -> SequenceFormat:
        """How it reads text."""

    @property
    def normalised(self) -> bool:
        """False where scores are relative frequencies that need not sum to one."""

    @property
    def signature(self) -> Mapping[str, str]:
        """What a reader must know to reproduce a score, in a fixed order."""

    def start(self) -> State:
        """The state at the beginning of a sequence."""

    def advance(self, state: State, token: int) -> State:
        """The state after one more token."""

    def next(self, state: State) -> F64:
        """Log-probability in nats of every token, (V,)."""

    def score_many(self, ids: I32, ends: I64) -> F64:
        """Nats of each token, (N,), of sentences laid end to end; each begins at `start`.

        `ends[s]` is where sentence s ends in `ids`; a sentence holds its own `eos` if the
        caller wants that scored.
        """

    def read(self, blocks: Iterable[bytes]) -> Iterator[tuple[I32, F64]]:
        """Ids and nats of the tokens of one text, in order, as they get known.

        The text comes in blocks of whole lines; it is cut into sequences as `form` says.
        """


class StoredModel(LanguageModel, Protocol):
    """A LanguageModel out of a file."""

    @property
    def kind(self) -> str:
        """What `info` calls it, such as `ngram`."""

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over all that its numbers depend on."""


class DecodingBatch(Protocol):
    """Texts that are continued side by side, one row each; changed in place."""

    def __len__(self) -> int:
        """How many."""

    def next(self) -> Floats:
        """Log-probability in nats of every token after each, (B, V)."""

    def advance(self, tokens: Sequence[int]) -> None:
        """Add one more token to each."""

    def take(self, rows: Sequence[int]) -> None:
        """Keep only these, in this order; one may be named several times."""

    def join(self, states: Sequence[State]) -> None:
        """Add the texts after these states as the last rows."""


class HasExactStates(DecodingBatch, Protocol):
    """Rows whose states are those of single steps to the last bit, so that only `next` is rounded otherwise."""

    def state(self, row: int) -> State:
        """The state of a text."""


class SupportsBatching(LanguageModel, Protocol):
    """A LanguageModel that does several steps at once, faster than one by one, and all but exactly so."""

    @property
    def tolerance(self) -> float:
        """How far a log-probability may be from the one that single steps give, for each nat that they span."""

    def rows(self, states: Sequence[State]) -> DecodingBatch:
        """The texts after these states, side by side."""

    def follow(self, state: State, ids: I32) -> list[State]:
        """The states after each of some tokens that follow a state."""

    def next_many(self, states: Sequence[State]) -> Floats:
        """Log-probability in nats of every token after each state, (B, V)."""


class PrefixCache(Protocol):
    """The beginning of the texts that are asked about, as far as it was run; it remembers that of the last."""

    def endings(self, prefix: I32, endings: Sequence[I32]) -> list[F64]:
        """Nats of each token of several endings after a prefix that begins a text.

        What the prefix shares with the one before is not run again. The numbers depend on this prefix and these
        endings alone, to the last bit, whatever was asked before.
        """


class SupportsPrefixCache(LanguageModel, Protocol):
    """A LanguageModel that scores several endings after a prefix, and prefixes that begin alike, at less cost."""

    def trunk(self) -> PrefixCache:
        """An empty one."""


class HasEmbeddings(Protocol):
    """Vectors of tokens: D numbers each, alone or where they stand."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids these are."""

    def table(self) -> F32:
        """The vector of every token, whatever its context, (V, D)."""

    def vectors(self, ids: I32) -> F32:
        """The hidden state at each token of a sequence, (N,) to (N, D'): what the next is predicted from."""


class SupportsPrefill(LanguageModel, Protocol):
    """A LanguageModel that runs all tokens of a prompt together."""

    def after(self, ids: I32) -> State:
        """The state after a prompt, (N,), at the beginning of a text: that of `advance`, but for rounding."""


class EncoderFormat(Protocol):
    """The special tokens around texts of an encoder; see `data.encoder_sequences.EncoderFormat`."""

    @property
    def cls(self) -> int | None:
        """The token before a text."""

    @property
    def sep(self) -> int | None:
        """The token behind a text."""

    @property
    def mask_token(self) -> int:
        """The token of a place to fill. Raises CheckpointError where there is none."""

    @property
    def special(self) -> frozenset[int]:
        """The special tokens that there are."""

    @property
    def around(self) -> int:
        """How many tokens are around one text."""

    def single(self, ids: I32) -> tuple[I32, I32]:
        """One text with the tokens around it, and its segments."""


class Encoder(Protocol):
    """A model that reads a sequence both ways: vectors of its tokens, and what may be at a place of it.

    Sequences lie end to end, N tokens in all, and their special tokens are among these. No number depends on
    which sequences are together, but for rounding.
    """

    @property
    def kind(self) -> str:
        """What `info` calls it: `encoder`."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose ids these are."""

    @property
    def form(self) -> EncoderFormat:
        """What is around its texts."""

    @property
    def context(self) -> int:
        """The most tokens of a sequence, special ones too."""

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over all that its numbers depend on."""

    @property
    def signature(self) -> Mapping[str, str]:
        """What a reader must know to reproduce a number, in a fixed order."""

    @property
    def sentence_pooling(self) -> tuple[str, bool, int]:
        """How its makers pool a text's states: `mean`, `max` or `cls`, whether to unit length, of how many tokens.

        The most tokens count special ones too; 0: as many as the context.
        """

    def table(self) -> F32:
        """The embedding of every token, (V, E)."""

    def vectors(self, ids: I32) -> F32:
        """The hidden state at each token of one text, (N,) to (N, D). Raises DataError for one too long."""

    def hidden_states(self, ids: I32, segments: I32, lengths: Sequence[int]) -> F32:
        """The last layer's vector of each token, (N,) to (N, D); `lengths` of the sequences sum to N."""

    def log_probabilities(self, hidden: F32) -> F32:
        """Nats of every token of the tokenizer at some places, (M, D) to (M, V).

        Raises CheckpointError where the model has no head of masked language modelling.
        """


class ConditionalModel(SupportsBatching, StoredModel, Protocol):
    """The distribution of targets given one source, as a language model; its states carry what was read of the source.

    So states of different sources, of one encoder-decoder, advance in one batch: `rows`, `advance`, `next`,
    `next_many` and `follow` of any of its ConditionalModels take the states of all. Only `start`, `score_many` and
    `read` know which source they are about.
    """

    @property
    def source_tokenizer(self) -> Tokenizer:
        """The tokenizer of sources."""

    @property
    def target_limit(self) -> int | None:
        """See `EncoderDecoder.target_limit`."""

    def source_ids(self, text: bytes, *, window: bool = False) -> I32:
        """See `EncoderDecoder.source_ids`."""

    def source_ids_many(self, texts: Sequence[bytes], *, window: bool = False) -> Sequence[I32]:
        """The same of several texts."""

    def for_source(self, source: I32) -> "ConditionalModel":
        """The language model of targets of another source."""

    def for_sources(self, sources: Sequence[I32]) -> "Sequence[ConditionalModel]":
        """The same of several, whose encoder runs once for all of them."""


class EncoderDecoder(Protocol):
    """A model that reads a source both ways and then writes a target: a language model once the source is given.

    Sources are ids as `source_ids` makes them, with the special tokens that the encoder reads around a text. What is
    worked out of a source alone has the same bits whatever other sources there are.
    """

    @property
    def kind(self) -> str:
        """What `info` calls it: `seq2seq-rnn`, `seq2seq-transformer`."""

    @property
    def source_tokenizer(self) -> Tokenizer:
        """The tokenizer of sources."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of targets; the same object where both sides share one."""

    @property
    def form(self) -> SequenceFormat:
        """How targets are read: each a line, behind a start token and ended by `newline_id`."""

    @property
    def source_limit(self) -> int | None:
        """The most tokens of a source, special ones too; None: any number."""

    @property
    def target_limit(self) -> int | None:
        """The most tokens of a target, its end too; None: any number."""

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over all that its numbers depend on."""

    @property
    def signature(self) -> Mapping[str, str]:
        """What a reader must know to reproduce a number, in a fixed order."""

    def source_ids(self, text: bytes, *, window: bool = False) -> I32:
        """The source that a text is, (N,).

        Of one that is longer than the model reads the last tokens with `window`; without it raises DataError.
        """

    def given(self, source: I32) -> ConditionalModel:
        """The language model of targets of a source."""

    def encoder_attention(self, source: I32) -> "AttentionParts":
        """What each token of a source takes from each. Raises CheckpointError for models without self-attention."""

    def decoder_attention(self, source: I32, target: I32) -> "AttentionParts":
        """What each input of the decoder takes from those before it: the start token, and a target but its last token.

        Raises CheckpointError for models without self-attention.
        """

    def given_many(self, sources: Sequence[I32]) -> Sequence[ConditionalModel]:
        """The same of several sources, whose encoder runs once for all of them."""

    def score_pairs(self, sources: Sequence[I32], targets: Sequence[I32]) -> list[F64]:
        """Nats of each token of each target given its source; a target holds its end if that is to be scored."""

    def alignment(self, source: I32, target: I32) -> F32:
        """Weights of cross-attention, (layers, heads, M, N): what predicting target token m takes of source token n.

        Rows sum to 1. Raises CheckpointError where the model has no attention to its source.
        """


class ImageCaptioner(Protocol):
    """A language model once images are given; images are pixels from 0 to 1, (height, width, channels) each."""

    @property
    def kind(self) -> str:
        """What `info` calls it: `captioner`."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of its texts."""

    @property
    def prompt(self) -> str:
        """The prompt that it learned to write captions after."""

    def visual_tokens(self, images: "Sequence[F32]") -> F32:
        """What the vision transformer makes of images, N vectors in all, (N, D)."""

    def given(self, images: "Sequence[F32]") -> StoredModel:
        """The language model of texts about images, which it sees in this order. Raises DataError."""


class ImageClassifier(Protocol):
    """A model that labels images; images are pixels from 0 to 1, (height, width, channels) each."""

    @property
    def labels(self) -> Sequence[str]:
        """The labels, K of them. Raises CheckpointError where it has none."""

    def image_probabilities(self, images: "Sequence[F32]") -> F64:
        """Probabilities of the labels, (B, K); the same whatever other images there are."""


class HasLogits(LanguageModel, Protocol):
    """A LanguageModel whose log-probabilities are the softmax of other numbers."""

    def logits(self, state: State) -> F64:
        """The numbers before normalisation, (V,)."""


class HasHiddenStates(LanguageModel, Protocol):
    """A LanguageModel whose states have vectors."""

    def hidden(self, state: State) -> F32:
        """What the next token is predicted from, (D,); after a token it is that token's of `HasEmbeddings.vectors`."""


class AttentionParts(NamedTuple):
    """Attention of one sequence of M inputs: weights (layers, heads, M, M), and what they are made of.

    `queries` and `keys`, (layers, heads, M, E), are scaled and turned: their products are the scores, before masks.
    """

    weights: F32
    queries: F32
    keys: F32


class HasAttention(LanguageModel, Protocol):
    """A LanguageModel that says what each token of a sequence takes from each."""

    def attention(self, ids: I32) -> AttentionParts:
        """Attention of its inputs: the ids, (N,), behind a start token if it has one."""


class Explains(LanguageModel, Protocol):
    """A LanguageModel that says what each factor of a probability depends on."""

    def explain(self, ids: Sequence[int]) -> Sequence[TokenScore]:
        """The factors of one sentence's probability."""


class SlidesWindows(LanguageModel, Protocol):
    """A LanguageModel that reads texts beyond its context through windows."""

    @property
    def prompt_limit(self) -> int | None:
        """The most tokens that are seen at once; None: any number."""

    def context_used(self) -> str:
        """The context, and behind a slash the stride of windows, as signatures have it."""


class ComparesHiddenStates(HasHiddenStates, HasEmbeddings, Protocol):
    """A LanguageModel that gives the hidden states of a prompt and of what may follow it."""


class Classifier(Protocol):
    """A model that gives probabilities of labels; an item has `sides` texts, one or two."""

    @property
    def labels(self) -> Sequence[str]:
        """The labels, K of them."""

    @property
    def sides(self) -> int:
        """How many texts an item has."""

    def label_probabilities(self, items: Sequence[tuple[str, ...]]) -> F64:
        """Probabilities of the labels, (N, K), of N items; the same whatever other items there are."""


class Regressor(Protocol):
    """A model that gives a number for an item of `sides` texts, one or two."""

    @property
    def sides(self) -> int:
        """How many texts an item has."""

    def predicted_values(self, items: Sequence[tuple[str, ...]]) -> F64:
        """A number for each of N items, (N,); the same whatever other items there are."""


class Tagger(Protocol):
    """A model that gives each word of a sentence a label."""

    @property
    def labels(self) -> Sequence[str]:
        """The labels, K of them."""

    def word_labels(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The label of each word of sentences; the same whatever other sentences there are."""


# What a model can do is asked by these functions, since runtime checks of protocols are slow and evaluate properties.


def is_language_model(model: object) -> TypeGuard[StoredModel]:
    """Whether a model gives probabilities of texts."""
    return hasattr(model, "score_many")


def is_encoder(model: object) -> TypeGuard[Encoder]:
    """Whether a model reads sequences both ways."""
    return hasattr(model, "hidden_states")


def is_conditional(model: object) -> TypeGuard[ConditionalModel]:
    """Whether a model is the language model of targets of a source."""
    return hasattr(model, "for_source")


def is_encoder_decoder(model: object) -> TypeGuard[EncoderDecoder]:
    """Whether a model writes targets of sources."""
    return hasattr(model, "given_many")


def is_captioner(model: object) -> TypeGuard[ImageCaptioner]:
    """Whether a model is a language model once images are given."""
    return hasattr(model, "visual_tokens") and hasattr(model, "given")


def is_image_classifier(model: object) -> TypeGuard[ImageClassifier]:
    """Whether a model labels images."""
    return hasattr(model, "image_probabilities")


def has_attention(model: object) -> TypeGuard[HasAttention]:
    """Whether a model has attention weights."""
    return hasattr(model, "attention")


def explains(model: object) -> TypeGuard[Explains]:
    """Whether a model says what its probabilities depend on."""
    return hasattr(model, "explain")


def slides_windows(model: object) -> TypeGuard[SlidesWindows]:
    """Whether a model reads long texts through windows."""
    return context_limit(model) is not None


def has_exact_states(rows: object) -> TypeGuard[HasExactStates]:
    """Whether rows give the states of their texts."""
    return hasattr(rows, "state")


def supports_batching(model: object) -> TypeGuard[SupportsBatching]:
    """Whether a model does several steps at once."""
    return hasattr(model, "rows")


def supports_prefix_cache(model: object) -> TypeGuard[SupportsPrefixCache]:
    """Whether a model keeps what prompts that begin alike share."""
    return hasattr(model, "trunk")


def supports_prefill(model: object) -> TypeGuard[SupportsPrefill]:
    """Whether a model runs the tokens of a prompt together."""
    return hasattr(model, "after")


def has_logits(model: object) -> TypeGuard[HasLogits]:
    """Whether a model has numbers that it normalises."""
    return hasattr(model, "logits")


def has_embeddings(model: object) -> TypeGuard[HasEmbeddings]:
    """Whether a model has vectors of tokens."""
    return hasattr(model, "vectors")


def compares_hidden_states(model: object) -> TypeGuard[ComparesHiddenStates]:
    """Whether a model gives the hidden states of prompts and of what follows."""
    return hasattr(model, "hidden") and has_embeddings(model)


def context_limit(model: object) -> int | None:
    """The most tokens of a prompt that a model sees; None: any number."""
    limit: int | None = getattr(model, "prompt_limit", None)
    return limit


def is_classifier(model: object) -> TypeGuard[Classifier]:
    """Whether a model gives probabilities of labels."""
    return hasattr(model, "label_probabilities")


def is_tagger(model: object) -> TypeGuard[Tagger]:
    """Whether a model gives words labels."""
    return hasattr(model, "word_labels")


def is_regressor(model: object) -> TypeGuard[Regressor]:
    """Whether a model gives numbers for texts."""
    return hasattr(model, "predicted_values")


def order_of(model: object) -> int | None:
    """The length of the n-grams that a model's probabilities depend on; None where that has no bound."""
    order: int | None = getattr(model, "order", None)
    return order
