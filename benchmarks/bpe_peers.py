"""What users of other tokenizers would write: trains, encodes stdin to ids and decodes ids, a line for a line.

Run by the interpreter that has the peers: python bpe_peers.py TASK ARGUMENTS
"""

import base64
import json
import sys


def hf_train(text: str, size: str, out: str) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=int(size), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train([text], trainer)
    tokenizer.save(out)


def spm_train(text: str, size: str, out: str) -> None:
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        input=text, vocab_size=int(size), model_type="bpe", byte_fallback=True, model_prefix=out,
        max_sentence_length=100_000, minloglevel=2, num_threads=2,
    )  # fmt: skip


def rustbpe_train(text: str, size: str, _out: str) -> None:
    import rustbpe

    tokenizer = rustbpe.Tokenizer()
    with open(text, encoding="utf-8") as lines:
        tokenizer.train_from_iterator(lines, int(size))


def gigabpe_train(text: str, size: str, out: str) -> None:
    import gigabpe

    gigabpe.train_tokenizer([text], int(size), out, special_tokens=[], pretokenizer="bytelevel")


def _ranks(path: str) -> dict[bytes, int]:
    with open(path, "rb") as lines:
        return {base64.b64decode(piece): int(rank) for piece, rank in map(bytes.split, lines)}


def _tiktoken(ranks: str):
    import tiktoken

    gpt2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
    return tiktoken.Encoding("bench", pat_str=gpt2, mergeable_ranks=_ranks(ranks), special_tokens={})


def tiktoken_encode(ranks: str) -> None:
    encode = _tiktoken(ranks).encode_ordinary
    write = sys.stdout.write
    for line in sys.stdin:
        write(" ".join(map(str, encode(line.rstrip("\n")))) + "\n")


def tiktoken_decode(ranks: str) -> None:
    decode = _tiktoken(ranks).decode_bytes
    write = sys.stdout.buffer.write
    for line in sys.stdin:
        write(decode(list(map(int, line.split()))) + b"\n")


def hf_encode(path: str) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    for line in sys.stdin:
        sys.stdout.write(" ".join(map(str, tokenizer.encode(line.rstrip("\n")).ids)) + "\n")


def hf_decode(path: str) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    for line in sys.stdin:
        sys.stdout.write(tokenizer.decode(list(map(int, line.split()))) + "\n")


def write_ranks(path: str, out: str) -> None:
    """The ranks of a byte-level tokenizer.json whose ids are its ranks, as tiktoken reads them."""
    from tokenizers.pre_tokenizers import ByteLevel

    with open(path, encoding="utf-8") as file:
        vocabulary = json.load(file)["model"]["vocab"]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
    assert set(byte_of) == set(ByteLevel.alphabet())
    with open(out, "wb") as file:
        for piece, rank in sorted(vocabulary.items(), key=lambda item: item[1]):
            file.write(base64.b64encode(bytes(byte_of[c] for c in piece)) + b" %d\n" % rank)


if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
