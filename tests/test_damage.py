"""Damaged checkpoints of every kind: refused, or answered from as if they were whole; and arrays checked in blocks."""

import json
from functools import cache

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from tiny_encoders import encoder_file

from lmkit import checkpoint, digests, registry
from lmkit.checkpoint import Checkpoint
from lmkit.digests import BLOCK, CheckedArray, Guard
from lmkit.errors import CheckpointError

TEXT = b"the cat sat on a mat\n<unk> zebra the dog\n"
FILES = (
    "word-0.lm", "modified-kneser-ney-3.lm", "char-katz.lm", "byte-witten-bell.lm", "stupid-backoff-2.lm",
    "small-vocabulary.lm", "pruned.lm", "imported.lm", "mixed.lm", "counts.lm", "transformer.lm",
    "transformer-stream.lm", "lstm.lm", "gru-stream.lm", "mingru-file.lm", "ffn.lm", "vectors", "subwords", "bpe",
    "pretokens", "encoder", "electra",
)  # fmt: skip
ENCODERS = {"encoder": "bert", "electra": "electra"}


@pytest.fixture(scope="module")
def file(shelf, lmkit, tmp_path_factory):
    """The bytes of a small checkpoint of any kind, made once."""
    folder = tmp_path_factory.mktemp("damage")
    commands = {
        "vectors": ["w2v", "train", "--dim", "5"],
        "subwords": ["w2v", "train", "--dim", "4", "--subwords", "2-3", "--buckets", "50"],
        "bpe": ["bpe", "train", "--vocab-size", "280"],
        "pretokens": ["bpe", "count"],
    }

    @cache
    def file(name):
        if name in ENCODERS:
            return encoder_file(ENCODERS[name])
        if name not in commands:
            return shelf[name].read_bytes()
        done = lmkit(*commands[name], "-q", "-o", folder / name, shelf["corpus.txt"])
        assert done.status == 0, done.stderr
        return (folder / name).read_bytes()

    return file


def answer(data):
    """All that a checkpoint says of a text, in bytes, and what identifies it."""
    model = registry.load(memoryview(data), "file")
    content = checkpoint.parse(data)
    said = [content.digest, content.config, content.tokenizer, content.origin, content.card]
    if hasattr(model, "score_many"):
        ids, nats = zip(*model.read([TEXT]), strict=True)
        arrays = [*ids, *nats, model.next(model.start())]
    elif model.kind == "encoder":
        ids, segments = model.form.single(model.tokenizer.encode(TEXT[:-1]))
        hidden = model.hidden_states(ids, segments, [len(ids)])
        is_masked = model.settings.task.startswith("mlm")
        arrays = [ids, hidden, model.log_probabilities(hidden) if is_masked else model.discriminator_logits(hidden)]
    elif model.kind == "w2v":
        words = model.words()
        made = model.vector_of(b"unseen")
        arrays = [model.centre, model.cosines(model.centre[words]), np.zeros(0) if made is None else made]
        said.append(model.similar(words.tolist(), 3))
    elif model.kind == "ngram-counts":
        arrays = [array for level in model.counts.levels for array in (level.key, level.count, level.suffix)]
    elif model.kind == "pretoken-counts":
        arrays = [model.counts, model.offsets, model.blob]
    else:
        arrays = [model.tokenizer.encode(TEXT)]
        said.append([model.tokenizer.piece(token) for token in range(model.tokenizer.size)])
    return repr(said), b"".join(np.asarray(array).tobytes() for array in arrays)


def flipped(data, seed):
    """One byte changed, anywhere; small headers and large ones alike are met as often as what follows them."""
    rng = np.random.default_rng(seed)
    header = 8 + int.from_bytes(data[:8], "little")
    place = int(rng.integers(header) if rng.random() < 0.5 or header == len(data) else rng.integers(header, len(data)))
    changed = bytearray(data)
    changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def silent(data, seeds):
    """The flips after which a checkpoint answers, and otherwise than before."""
    whole = answer(data)
    wrong = []
    for seed in seeds:
        try:
            if answer(flipped(data, seed)) != whole:
                wrong.append(seed)
        except CheckpointError:
            continue
    return wrong


@pytest.mark.parametrize("name", FILES)
def test_a_byte_flipped_changes_no_answer(name, file):
    assert silent(file(name), range(20)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_ten_thousand_bytes_flipped_change_no_answer(name, file):
    assert silent(file(name), range(20, 520)) == []


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_a_header(bit, file):
    """Refused, or the same content with the same digest: a space may become another blank."""
    data = file("word-0.lm")
    whole = checkpoint.parse(data)
    read = 0
    for place in range(8 + int.from_bytes(data[:8], "little")):
        changed = bytearray(data)
        changed[place] ^= 1 << bit
        try:
            content = checkpoint.parse(changed)
        except CheckpointError:
            continue
        read += 1
        assert (content.digest, content.config, content.tokenizer) == (whole.digest, whole.config, whole.tokenizer)
    assert read < 8  # the padding


def parts(data):
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), 8 + size


@pytest.mark.parametrize("name", FILES)
def test_a_tensor_of_zeros_is_named(name, file):
    data = file(name)
    header, begin = parts(data)
    for tensor in sorted(set(header) - {"__metadata__"}):
        start, end = (begin + offset for offset in header[tensor]["data_offsets"])
        if any(data[start:end]):
            content = checkpoint.parse(data[:start] + bytes(end - start) + data[end:])
            with pytest.raises(CheckpointError, match="is not what was written") as refused:
                content.check()
            assert repr(tensor) in str(refused.value)
            with pytest.raises(CheckpointError):
                content.tensors[tensor]


def test_tensors_of_one_shape_that_change_places():
    same = {"a": np.arange(6.0), "b": np.arange(6.0) + 1}
    data = b"".join(checkpoint.serialize(Checkpoint("toy", {}, same)))
    header, begin = parts(data)
    swapped = data[:begin] + data[begin + 48 :] + data[begin : begin + 48]
    header["a"]["data_offsets"], header["b"]["data_offsets"] = header["b"]["data_offsets"], header["a"]["data_offsets"]
    text = json.dumps(header).encode()
    with pytest.raises(CheckpointError, match="'a'"):
        checkpoint.parse(swapped).check()
    with pytest.raises(CheckpointError, match="'a'"):
        checkpoint.parse(len(text).to_bytes(8, "little") + text + data[begin:]).check()
    both = checkpoint.parse(
        len(text).to_bytes(8, "little") + text + swapped[begin:]
    )  # the same content, laid otherwise
    assert both.tensors["a"].tolist() == same["a"].tolist()
    assert both.digest == checkpoint.parse(data).digest


@pytest.mark.parametrize("key", ["digests", "digest"])
def test_digests_that_are_missing_are_damage(key, file):
    data = file("word-0.lm")
    header, begin = parts(data)
    metadata = header["__metadata__"]
    mark = json.loads(metadata["lmkit"])
    (metadata if key == "digests" else mark).pop(key)
    metadata["lmkit"] = json.dumps(mark)
    text = json.dumps(header).encode()
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.parse(len(text).to_bytes(8, "little") + text + data[begin:])


def test_what_the_reference_writer_copies_stays_protected(file):
    data = file("modified-kneser-ney-3.lm")
    whole = checkpoint.parse(data)
    tensors = {name: np.array(tensor) for name, tensor in whole.tensors.items()}
    again = safetensors.numpy.save(tensors, parts(data)[0]["__metadata__"])
    copy = checkpoint.parse(again)
    assert (copy.protected, copy.digest) == (True, whole.digest)
    copy.check()
    tensors["ngrams.2.log10"][0] += 1
    with pytest.raises(CheckpointError, match=r"'ngrams\.2\.log10'"):
        checkpoint.parse(safetensors.numpy.save(tensors, parts(data)[0]["__metadata__"])).check()


# Arrays that are checked where they are read.


LENGTH = 5 * BLOCK // 8 + 17
KEYS = np.cumsum(np.random.default_rng(0).integers(1, 5, LENGTH))


def guarded(damaged=(), bit=40, place=0):
    """An ascending array of six blocks, some of which are damaged: in a bit of a value."""
    data = bytearray(KEYS.tobytes())
    found = digests.of_whole(memoryview(data))
    for block in damaged:
        values = np.frombuffer(data, dtype=np.uint64)
        values[min(block * BLOCK // 8 + place, LENGTH - 1)] ^= np.uint64(1 << bit)
    return CheckedArray(np.frombuffer(data, dtype=np.int64), Guard("keys", memoryview(data), found))


def test_digests_do_not_depend_on_pieces():
    data = KEYS.tobytes()
    whole = digests.of_whole(memoryview(data))
    for size in (1000, BLOCK, BLOCK + 1, len(data)):
        pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
        assert digests.of_bytes(pieces).tolist() == whole.tolist()
    assert (
        digests.from_text(digests.to_text(whole), len(data), digests.ALGORITHMS[digests.WRITTEN]).tolist()
        == whole.tolist()
    )


@given(st.lists(st.integers(-3, int(KEYS[-1]) + 3), max_size=9))
def test_searches_are_those_of_numpy(wanted):
    assert guarded().search(wanted).tolist() == np.searchsorted(KEYS, wanted).tolist()


@given(
    st.sets(st.integers(0, 5), max_size=2),
    st.one_of(
        st.integers(0, LENGTH - 1), st.lists(st.integers(0, LENGTH - 1), max_size=5),
        st.builds(slice, st.integers(0, LENGTH), st.integers(0, LENGTH)),
    ),
)  # fmt: skip
def test_only_blocks_that_are_read_are_compared(damaged, place):
    """What is read is right or refused, and refused where it lies in a damaged block alone."""
    array = guarded(damaged)
    touched = set((np.atleast_1d(np.arange(LENGTH)[place]) * 8 // BLOCK).tolist())
    if touched & damaged:
        with pytest.raises(CheckpointError, match="'keys' is not what was written"):
            array[place]
    else:
        assert np.array_equal(array[place], KEYS[place])


WANTED = st.lists(st.integers(-3, int(KEYS[-1]) + 3) | st.sampled_from(KEYS.tolist()), min_size=1, max_size=5)


@given(st.sets(st.integers(0, 5), max_size=3), st.integers(0, 63), st.integers(0, BLOCK // 8 - 1), WANTED)
def test_a_search_among_damaged_keys_is_right_or_refused(damaged, bit, place, wanted):
    try:
        found = guarded(damaged, bit, place).search(wanted).tolist()
    except CheckpointError:
        assert damaged
        return
    assert found == np.searchsorted(KEYS, wanted).tolist()
