"""Neural models with random weights, read from the bytes of a file."""

from random_weights import random_weights

from lmkit import registry
from lmkit.architectures.families import imported
from lmkit.checkpoint import parse, serialize
from lmkit.tokenization.tokenizers import CharTokenizer
from lmkit.tokenization.vocabulary import Vocabulary

VOCABULARY = 137
TOKENIZER = CharTokenizer(
    Vocabulary.of([b"<unk>", b"<s>", b"</s>", *(chr(0x100 + number).encode() for number in range(VOCABULARY - 3))])
)


def build(kind, own, seed=0, **parameters):
    """Parameters of the model's class may follow."""
    weights = random_weights(kind, TOKENIZER, by=own.get("by", "stream"), seed=seed, **own)
    data = b"".join(serialize(weights.to_checkpoint({})))
    found = type(weights).from_checkpoint(parse(data))
    return imported(registry.KINDS[kind])(found, **parameters)
