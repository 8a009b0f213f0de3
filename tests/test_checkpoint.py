"""The file format: round trips, other people's readers and writers, and files that are damaged or hostile."""

import json
import struct
import tracemalloc
import zlib
from hashlib import sha256

import numpy as np
import pytest
import safetensors.numpy
from conftest import without_digests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_hexdigest

from lmkit import checkpoint
from lmkit.checkpoint import DTYPES, Checkpoint, Streamed
from lmkit.errors import CheckpointError

MARK = {"lmkit": '{"format":1,"kind":"toy"}'}
SHAPES = [(), (0,), (1,), (7,), (0, 3), (2, 0, 5), (2, 3), (1, 1, 1), (3, 1, 2, 2)]


def data_of(content):
    return b"".join(checkpoint.serialize(content))


def array(dtype, shape, seed=0):
    """Random bits, so that NaNs and the like are among them; booleans are booleans."""
    size = int(np.prod(shape, dtype=np.int64))
    if dtype == "BOOL":
        return (np.random.default_rng(seed).random(size) < 0.5).reshape(shape)
    bits = np.random.default_rng(seed).bytes(size * DTYPES[dtype].itemsize)
    return np.frombuffer(bits, dtype=DTYPES[dtype]).reshape(shape)


def same(content, other):
    assert (content.kind, content.config, content.tokenizer, content.origin, content.card) == (
        other.kind, other.config, other.tokenizer, other.origin, other.card,
    )  # fmt: skip
    assert set(content.tensors) == set(other.tensors)
    for name, tensor in content.tensors.items():
        assert other.tensors[name].dtype == tensor.dtype
        assert other.tensors[name].shape == tensor.shape
        assert other.tensors[name].tobytes() == tensor.tobytes()


# Round trips.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_and_shape_comes_back(dtype, shape):
    content = Checkpoint("toy", {}, {"x": array(dtype, shape)})
    same(content, checkpoint.parse(data_of(content)))


def test_everything_together_comes_back():
    tensors = {f"{dtype}.{number}": array(dtype, shape) for dtype in DTYPES for number, shape in enumerate(SHAPES)}
    content = Checkpoint("toy", {"a": [1, {"b": None}]}, tensors, {"t": "ü"}, {"o": 1e-300}, {"c": True})
    data = data_of(content)
    same(content, checkpoint.parse(data))
    same(content, checkpoint.parse(memoryview(data)))
    same(content, checkpoint.parse(bytearray(data)))


def test_no_tensors_at_all():
    content = Checkpoint("toy", {}, {})
    same(content, checkpoint.parse(data_of(content)))


def test_arrays_are_written_by_value_not_by_layout():
    value = np.arange(12, dtype=np.int32).reshape(3, 4)
    for other in (np.asfortranarray(value), value.astype(">i4"), np.repeat(value, 2, axis=1)[:, ::2]):
        assert data_of(Checkpoint("toy", {}, {"x": other})) == data_of(Checkpoint("toy", {}, {"x": value}))


def test_streamed_tensors_are_written_as_whole_ones():
    value = np.arange(1000, dtype=np.float32)
    for sizes in ([1000], [1, 0, 999], [500, 500], [0, 1000, 0]):
        cuts = np.split(value, np.cumsum(sizes)[:-1])
        streamed = Streamed(value.dtype, 1000, lambda cuts=cuts: iter(cuts))
        assert data_of(Checkpoint("toy", {}, {"x": streamed})) == data_of(Checkpoint("toy", {}, {"x": value}))


@pytest.mark.parametrize("sizes", [[999], [1000, 1], []])
def test_streamed_tensors_keep_their_promise(sizes):
    streamed = Streamed(np.dtype("<f4"), 1000, lambda: (np.zeros(size, np.float32) for size in sizes))
    with pytest.raises(AssertionError):
        data_of(Checkpoint("toy", {}, {"x": streamed}))


def test_arrays_are_views_and_read_only(small):
    content = checkpoint.parse(data_of(small))
    with pytest.raises(ValueError, match="read-only"):
        content.tensors["a"][0, 0] = 1
    assert content.tensors["a"].base is not None


KEYS = st.text(max_size=4).filter(str.isascii)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
    lambda name: name != "__metadata__"
)
TENSORS = st.dictionaries(
    NAMES,
    st.builds(array, st.sampled_from(sorted(DTYPES)), st.sampled_from(SHAPES), st.integers(0, 5)),
    max_size=5,
)
CONTENTS = st.builds(
    Checkpoint, st.text(max_size=5).filter(str.isascii),
    st.dictionaries(st.text(max_size=4).filter(str.isascii), JSON, max_size=3), TENSORS
)  # fmt: skip


@settings(max_examples=60)
@given(content=CONTENTS)
def test_anything_comes_back(content):
    same(content, checkpoint.parse(data_of(content)))


# Equal content, equal bytes.


@settings(max_examples=40)
@given(content=CONTENTS, random=st.randoms(use_true_random=False))
def test_order_of_dictionaries_does_not_matter(content, random):
    def shuffled(mapping):
        items = list(mapping.items())
        random.shuffle(items)
        return {key: shuffled(value) if isinstance(value, dict) else value for key, value in items}

    other = Checkpoint(content.kind, shuffled(content.config), shuffled(content.tensors))
    data = data_of(content)
    assert data_of(other) == data == data_of(content)
    assert data_of(checkpoint.parse(data)) == data
    assert checkpoint.parse(data).digest == checkpoint.parse(data_of(other)).digest


def test_tensors_are_aligned_to_their_width():
    tensors = {f"{dtype}.{length}": array(dtype, (length,)) for dtype in DTYPES for length in (1, 3)}
    data = data_of(Checkpoint("toy", {"x": "y" * 3}, tensors))
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    del header["__metadata__"]
    for entry in header.values():
        assert entry["data_offsets"][0] % DTYPES[entry["dtype"]].itemsize == 0


def test_bytes_are_those_of_the_description():
    data = data_of(Checkpoint("toy", {"order": 3}, {"x": np.array([1, 2], np.uint16), "w": np.array(-1, np.int32)}))
    of = {"w": xxh3_64_hexdigest(b"\xff" * 4), "x": xxh3_64_hexdigest(b"\x01\x00\x02\x00")}
    digests = f'{{"algorithm":"xxh3_64","block":65536,"tensors":{{"w":"{of["w"]}","x":"{of["x"]}"}}}}'
    known = {"card": "{}", "config": '{"order":3}', "digests": digests, "origin": "{}", "tokenizer": "{}"}
    said = checkpoint.canonical(["toy", 1, known, {"w": ["I32", []], "x": ["U16", [2]]}])
    mark = f'{{"digest":"{sha256(said.encode()).hexdigest()}","format":1,"kind":"toy"}}'
    header = checkpoint.canonical(
        {
            "__metadata__": {**known, "lmkit": mark},
            "w": {"data_offsets": [0, 4], "dtype": "I32", "shape": []},
            "x": {"data_offsets": [4, 8], "dtype": "U16", "shape": [2]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    assert data == len(header).to_bytes(8, "little") + header + b"\xff\xff\xff\xff\x01\x00\x02\x00"


def test_digests_of_an_earlier_version():
    tensor = np.arange(40_000, dtype=np.int32)  # three blocks
    data = data_of(Checkpoint("toy", {}, {"x": tensor}))
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    crcs = [zlib.crc32(tensor.tobytes()[begin : begin + 65536]) for begin in range(0, tensor.nbytes, 65536)]
    about = {"algorithm": "crc32", "block": 65536, "tensors": {"x": "".join(f"{crc:08x}" for crc in crcs)}}
    known = {**header["__metadata__"], "digests": checkpoint.canonical(about)}
    del known["lmkit"]
    said = checkpoint.canonical(["toy", 1, known, {"x": ["I32", [40_000]]}])
    mark = checkpoint.canonical({"digest": sha256(said.encode()).hexdigest(), "format": 1, "kind": "toy"})
    text = checkpoint.canonical({**header, "__metadata__": {**known, "lmkit": mark}}).encode()
    text += b" " * (-len(text) % 8)
    old = bytearray(len(text).to_bytes(8, "little") + text + tensor.tobytes())
    assert np.array_equal(checkpoint.parse(bytes(old)).tensors["x"], tensor)
    old[-1] ^= 1
    with pytest.raises(CheckpointError, match=r"'x' is not what was written \(block 3 of 3\)"):
        checkpoint.parse(bytes(old)).check()


def test_numbers_that_json_lacks_are_not_written():
    with pytest.raises(ValueError, match="JSON"):
        data_of(Checkpoint("toy", {"x": float("nan")}, {}))


# Other people's readers and writers.


def test_the_reference_reader_opens_ours(tmp_path):
    tensors = {f"{dtype}.{number}": array(dtype, shape) for dtype in DTYPES for number, shape in enumerate(SHAPES)}
    path = tmp_path / "ours"
    path.write_bytes(data_of(Checkpoint("toy", {"a": 1}, tensors)))
    read = safetensors.numpy.load_file(path)
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        assert (read[name].dtype, read[name].shape, read[name].tobytes()) == (
            tensor.dtype,
            tensor.shape,
            tensor.tobytes(),
        )
    with safetensors.safe_open(path, framework="numpy") as opened:
        assert json.loads(opened.metadata()["config"]) == {"a": 1}


@pytest.mark.parametrize("name", ["modified-kneser-ney-3.lm", "counts.lm", "byte-witten-bell.lm", "word-0.lm"])
def test_the_reference_reader_opens_models(name, shelf):
    read = safetensors.numpy.load_file(shelf[name])
    ours = checkpoint.parse(shelf[name].read_bytes())
    assert set(read) == set(ours.tensors) != set()
    assert all(np.array_equal(read[key], tensor) for key, tensor in ours.tensors.items())


def test_files_of_the_reference_writer_are_read():
    tensors = {f"{dtype}.{number}": array(dtype, shape) for dtype in DTYPES for number, shape in enumerate(SHAPES)}
    metadata = {**MARK, "config": '{"order": 2}', "card": "{}", "unknown": "not json"}
    content = checkpoint.parse(safetensors.numpy.save(tensors, metadata))
    same(content, Checkpoint("toy", {"order": 2}, {name: np.asarray(tensor) for name, tensor in tensors.items()}))


def test_models_that_the_reference_writer_wrote_are_models(shelf, lmkit, write):
    content = checkpoint.parse(shelf["juan.lm"].read_bytes())
    header = shelf["juan.lm"].read_bytes()
    metadata = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]
    tensors = {name: np.array(tensor) for name, tensor in content.tensors.items()}
    again = write("again.lm", safetensors.numpy.save(tensors, metadata))
    done = lmkit("ppl", "-b", "-m", again, shelf["juan.txt"])
    assert done.stdout == lmkit("ppl", "-b", "-m", shelf["juan.lm"], shelf["juan.txt"]).stdout != b""


def test_files_of_others_are_told_apart():
    with pytest.raises(CheckpointError, match="not an lmkit checkpoint"):
        checkpoint.parse(safetensors.numpy.save({"x": np.zeros(3)}))
    with pytest.raises(CheckpointError, match="not an lmkit checkpoint"):
        checkpoint.parse(safetensors.numpy.save({"x": np.zeros(3)}, {"format": "pt"}))


def test_newer_formats_are_refused(packed):
    with pytest.raises(CheckpointError, match="newer") as refused:
        checkpoint.parse(packed({"__metadata__": {"lmkit": '{"format":2,"kind":"toy"}'}}))
    assert refused.value.hint


@pytest.mark.parametrize(
    "mark",
    ["", "3", "[]", "null", '"x"', "{", "{}", '{"format":1}', '{"kind":"toy"}', '{"format":"1","kind":"toy"}',
     '{"format":1.0,"kind":"toy"}', '{"format":1,"kind":3}', '{"format":null,"kind":"toy"}', "[" * 100_000],
)  # fmt: skip
def test_marks_that_make_no_sense_are_refused(mark, packed):
    with pytest.raises(CheckpointError):
        checkpoint.parse(packed({"__metadata__": {"lmkit": mark}}))


@pytest.mark.parametrize(
    "metadata", [None, [], 3, "x", {"lmkit": 3}, {"lmkit": None}, {"lmkit": {"format": 1, "kind": "toy"}}]
)
def test_metadata_that_makes_no_sense_is_refused(metadata, packed):
    with pytest.raises(CheckpointError):
        checkpoint.parse(packed({"__metadata__": metadata}))


@pytest.mark.parametrize("key", ["config", "tokenizer", "origin", "card"])
@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{", "null", "[" * 100_000, '{"a":' * 100_000, "9" * 10_000, 3, None, {}]
)
def test_objects_that_are_none_are_refused(key, text, packed):
    with pytest.raises(CheckpointError):
        checkpoint.parse(packed({"__metadata__": {**MARK, key: text}}))


# `array`, by which models take tensors out.


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [("none", "F32", (2, 3)), ("a", "F64", (2, 3)), ("a", "I32", (2, 3)), ("a", "F32", (3, 2)), ("a", "F32", (6,)),
     ("a", "F32", (2, None, None)), ("a", "F32", ()), ("b", "I64", (1,))],
)  # fmt: skip
def test_tensors_of_another_kind_are_refused(name, dtype, shape, small):
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.parse(data_of(small)).array(name, dtype, shape)


@pytest.mark.parametrize("shape", [(2, 3), (None, 3), (None, None)])
def test_tensors_of_the_right_kind_are_given(shape, small):
    assert checkpoint.parse(data_of(small)).array("a", "F32", shape).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert checkpoint.parse(data_of(small)).array("b", "I64", ()) == 7


# Damaged and hostile files: always CheckpointError, and never much memory.


def refuse(data, most=1 << 21):
    """The file is refused without taking more memory than a small multiple of its own size."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as refused:
            checkpoint.parse(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most + 20 * len(data)
    assert "\n" not in str(refused.value)
    return refused.value


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def test_files_that_are_no_checkpoints_are_refused():
    for data in (b"", b"\0", b"1234567", bytes(8), bytes(100), b"\xff" * 100, b"the cat sat on the mat\n" * 50):
        refuse(data)


def test_truncated_at_any_length(small):
    data = data_of(small)
    for length in range(len(data)):
        refuse(data[:length])


def test_truncated_models(shelf):
    data = shelf["modified-kneser-ney-3.lm"].read_bytes()
    for length in [*range(0, len(data), 37), *range(len(data) - 40, len(data))]:
        refuse(data[:length])


def test_longer_than_it_should_be(small):
    data = data_of(small)
    for more in (b"\0", b" ", b"\n", bytes(8), bytes(1 << 16), data):
        refuse(data + more)


@pytest.mark.parametrize("length", [0, 1, 2**24 + 1, 2**31, 2**32, 4 << 30, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
def test_impossible_lengths_of_the_header(length, small):
    data = data_of(small)
    refuse(length.to_bytes(8, "little") + data[8:])
    refuse(length.to_bytes(8, "little") + b"{")


def test_headers_are_not_read_at_any_length(packed):
    """A header of 17 MiB is refused before anybody parses it, though all of it is there."""
    data = packed(json.dumps({"__metadata__": MARK}).encode() + b" " * (17 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="impossible"):
            checkpoint.parse(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_length_of_the_header_off_by_a_little(small):
    data = data_of(small)
    (length,) = struct.unpack("<Q", data[:8])
    for off in (-9, -8, -1, 1, 8, 9):
        refuse((length + off).to_bytes(8, "little") + data[8:])


@pytest.mark.parametrize(
    "header",
    [b"{", b"}", b"[]", b"{}", b"null", b"3", b'"x"', b"{]", b"{'a':1}", b'{"a":1,}', b"\xff\xfe{}", b'{"\xff":1}',
     b"\0\0",
     b"{}{}", b'{"a":NaN}', b'{"a":Infinity}', b"[" * 100_000, b'{"a":' * 100_000,
     b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
     b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"a":' + b"9" * 100_000 + b"}", b'{"a":1e999999}', b" " * 64,
     b"\xef\xbb\xbf{}", "{}".encode("utf-16"), "{}".encode("utf-32"), b'{"a":"\\ud800"}'],
    ids=lambda header: header[:12].decode(errors="replace"),
)  # fmt: skip
def test_headers_that_are_no_json_or_no_object(header, packed):
    refuse(packed(header))


@pytest.mark.parametrize(
    "wrong",
    [
        None, 3, "x", [], {}, entry(dtype="F31"), entry(dtype="f32"), entry(dtype="BF16"), entry(dtype="F8_E5M2"),
        entry(dtype=None), entry(dtype=["F32"]), entry(dtype={}), entry(dtype=""),
        entry(shape=[3]), entry(shape=[1]), entry(shape=[-2]), entry(shape=[-1, -2]), entry(shape=[2.0]),
        entry(shape=["2"]),
        entry(shape=[None]), entry(shape=[True, 2]), entry(shape=[[2]]), entry(shape=[2] * 33), entry(shape=[2**62, 4]),
        entry(shape=[2**63]), entry(shape=[2**64, 0], offsets=[0, 0]), entry(shape=[2**32, 2**32]),
        entry(shape=[10**400]),
        entry(offsets=[0]), entry(offsets=[0, 8, 16]), entry(offsets=[8, 0]), entry(offsets=[0, 4]),
        entry(offsets=[0, 9]),
        entry(offsets=[-8, 0]), entry(offsets=[1, 9]), entry(offsets=[0.0, 8.0]), entry(offsets=["0", "8"]),
        entry(offsets=[None, None]), entry(offsets=[False, 8]), entry(offsets=[2**63, 2**63 + 8]),
        entry(offsets=[2**64, 2**64 + 8]),
        entry(shape=[2**60], offsets=[0, 2**62]), entry(shape=[2**30], offsets=[0, 2**32]),
        {"dtype": "F32", "shape": [2]}, {"dtype": "F32", "data_offsets": [0, 8]},
        {"shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": {"0": 2}, "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": "08"},
    ],
    ids=lambda wrong: str(wrong)[:80],
)  # fmt: skip
def test_entries_that_make_no_sense(wrong, packed):
    refuse(packed({"__metadata__": MARK, "x": wrong}, bytes(8)))


@pytest.mark.parametrize(
    "shape",
    [
        [0, 2**61],
        [2**61, 0],
        [0, 2**61, 2**61],
        [2**40, 2**40, 0],
        [0] + [2**61] * 15,
        [0] * 17,
        [1] * 65,
        [0] * 33,
        [0, 2**62 - 1],
    ],
    ids=str,
)
def test_empty_tensors_with_enormous_sides(shape, packed):
    """Nothing is in them, and numpy can't hold their shapes: refused, or given as they are, but no other failure."""
    data = packed({"__metadata__": MARK, "x": entry(shape=shape, offsets=[0, 0])})
    try:
        content = checkpoint.parse(data)
    except CheckpointError:
        return
    assert content.tensors["x"].shape == tuple(shape)


@pytest.mark.parametrize(
    "spans",
    [
        [(0, 8), (0, 8)], [(0, 8), (4, 12)], [(0, 8), (12, 20)], [(4, 12)], [(0, 8), (16, 24), (8, 12)], [(8, 16)],
        [(0, 16), (4, 8)], [(0, 8), (8, 16), (8, 16)], [(0, 4), (4, 8)], [(0, 24), (24, 24), (0, 0), (20, 24)], [],
    ],
    ids=str,
)  # fmt: skip
def test_tensors_that_overlap_or_leave_gaps(spans, packed):
    header = {f"x{n}": entry("U8", [end - begin], (begin, end)) for n, (begin, end) in enumerate(spans)}
    refuse(packed({"__metadata__": MARK, **header}, bytes(24)))


def test_tensors_back_to_back_in_any_order_are_fine(packed):
    header = {"a": entry("U8", [16], (8, 24)), "b": entry("U8", [8], (0, 8)), "c": entry("U8", [0], (8, 8))}
    content = checkpoint.parse(packed({"__metadata__": MARK, **header}, bytes(range(24))))
    assert content.tensors["a"].tolist() == list(range(8, 24))
    assert content.tensors["b"].tolist() == list(range(8))


@pytest.mark.parametrize(
    "header",
    [
        b'{"__metadata__":{"lmkit":"{\\"format\\":1,\\"kind\\":\\"toy\\"}"},"x":%b,"x":%b}',
        b'{"__metadata__":{},"__metadata__":{"lmkit":"{\\"format\\":1,\\"kind\\":\\"toy\\"}"},"x":%b,"y":%b}',
    ],
    ids=["tensor", "metadata"],
)
def test_a_key_that_stands_twice(header, packed):
    """Readers differ in which one they take, so the file has no one meaning."""
    refuse(packed(header % (json.dumps(entry()).encode(), json.dumps(entry(offsets=[8, 16])).encode()), bytes(16)))
    refuse(packed(header % (json.dumps(entry()).encode(), json.dumps(entry()).encode()), bytes(8)))


def test_gigabytes_claimed_in_a_tiny_file(packed):
    size = 4 << 30
    refuse(packed({"__metadata__": MARK, "x": entry("U8", [size], (0, size))}, bytes(8)), most=1 << 20)
    refuse(packed({"__metadata__": MARK, "x": entry("F64", [size], (0, 8 * size))}, bytes(8)), most=1 << 20)
    refuse(packed({}, length=1 << 24), most=1 << 20)


def test_many_tensors_take_no_more_than_they_are(packed):
    header = {f"x{number}": entry("U8", [0], (0, 0)) for number in range(4000)}
    refuse(packed({"__metadata__": MARK, **header}, bytes(1)), most=1 << 20)


@settings(max_examples=400)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
@example(place=0, value=0)
def test_a_byte_of_the_header_replaced(place, value, small):
    data = bytearray(data_of(small))
    place %= 8 + int.from_bytes(data[:8], "little")
    data[place] = value
    meets(data)


@settings(max_examples=400)
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=6))
def test_bytes_flipped(flips, small):
    data = bytearray(data_of(small))
    for place, mask in flips:
        data[place % len(data)] ^= mask
    meets(data)


@settings(max_examples=300)
@given(
    begin=st.integers(0, 10**6), length=st.integers(0, 20),
    with_=st.sampled_from(
        [b"", b"0", b"-1", b"99999999999999999999", b"1e9", b"null", b"[]", b"{}", b'"', b"\\u0000", b"\0"]
    ),
)  # fmt: skip
def test_a_piece_of_the_header_replaced(begin, length, with_, small):
    data = data_of(small)
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size]
    begin %= size
    header = header[:begin] + with_ + header[begin + length :]
    meets(len(header).to_bytes(8, "little") + header + data[8 + size :])


@settings(max_examples=200)
@given(data=st.binary(max_size=200))
def test_any_bytes(data):
    meets(data)
    meets(len(data).to_bytes(8, "little") + data)


def meets(data):
    """The file is read or refused, nothing else."""
    try:
        content = checkpoint.parse(bytes(data))
    except CheckpointError:
        return
    assert isinstance(content.kind, str)
    try:
        assert sum(tensor.nbytes for tensor in content.tensors.values()) <= len(data)
    except CheckpointError:
        assert content.protected


# Damaged models, through the commands that read them.

COMMANDS = {
    "ppl": ["ppl", "-b", "-m", "damaged.lm", "text.txt"],
    "ppl --explain": ["ppl", "--explain", "-m", "damaged.lm", "text.txt"],
    "score": ["score", "--explain", "--json", "-m", "damaged.lm", "text.txt"],
    "next": ["next", "--prompt", "the cat", "-m", "damaged.lm"],
    "sample": ["sample", "-n", "3", "--max-tokens", "20", "-m", "damaged.lm"],
    "info": ["info", "--json", "damaged.lm"],
    "info --tensors": ["info", "--tensors", "damaged.lm"],
    "ngram export": ["ngram", "export", "damaged.lm"],
    "ngram query": ["ngram", "query", "-m", "damaged.lm"],
    "ngram query of one": ["ngram", "query", "-m", "damaged.lm", "the cat sat", "<s> the"],
    "ngram prune": ["ngram", "prune", "-m", "damaged.lm", "--threshold", "1e-3", "-q"],
    "ngram mix": ["ngram", "mix", "-m", "damaged.lm", "-m", "whole.lm", "-q"],
    "ngram import": ["ngram", "import", "damaged.lm", "-q"],
}
COUNTING = {
    "info": ["info", "--json", "damaged.lm"],
    "ngram export": ["ngram", "export", "damaged.lm"],
    "ngram merge": ["ngram", "merge", "damaged.lm", "whole.lm"],
    "ngram fit": ["ngram", "fit", "--from-counts", "--order", "3", "damaged.lm", "-q"],
    "ngram fit mle": ["ngram", "fit", "--from-counts", "--order", "2", "--smoothing", "mle", "damaged.lm", "-q"],
}
ENDS = {0, 3, 4}
SEEDS = pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 15), marks=pytest.mark.slow)], ids=str)
OFTEN = ("ppl", "info", "ngram mix", "ngram query", "ngram fit")
"""Commands that differ most in what they read; all others are tested with all wrong values by slow tests."""


def ways(names):
    return [pytest.param(name, marks=[] if name in OFTEN else pytest.mark.slow) for name in names]


def damaged(data, seed, places):
    """Some bytes of a file flipped, at `places` that tell where to look."""
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for place in rng.choice(places, rng.integers(1, 4)):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def tensor_places(data, name):
    """Where a tensor's bytes lie in a file."""
    size = int.from_bytes(data[:8], "little")
    begin, end = json.loads(data[8 : 8 + size])[name]["data_offsets"]
    return np.arange(8 + size + begin, 8 + size + end)


@pytest.mark.few(10)
@SEEDS
@pytest.mark.parametrize("way", COMMANDS)
@pytest.mark.parametrize("where", ["anywhere", "header", "key", "log10", "backoff", "offsets", "ranks"])
def test_damaged_models_are_read_or_refused(seeds, way, where, shelf, lmkit, write):
    data = without_digests(shelf["modified-kneser-ney-3.lm"].read_bytes())
    names = {
        "key": ["ngrams.2.key", "ngrams.3.key"], "log10": ["ngrams.1.log10", "ngrams.2.log10", "ngrams.3.log10"],
        "backoff": ["ngrams.1.backoff", "ngrams.2.backoff"], "offsets": ["tokenizer.offsets"],
        "ranks": ["tokenizer.ranks"],
    }  # fmt: skip
    if where in names:
        places = np.concatenate([tensor_places(data, name) for name in names[where]])
    else:
        places = np.arange(len(data) if where == "anywhere" else 8 + int.from_bytes(data[:8], "little"))
    write("text.txt", shelf["corpus.txt"].read_bytes())
    write("whole.lm", shelf["other.lm"].read_bytes())
    ends = {}
    for seed in seeds:
        write("damaged.lm", damaged(data, seed, places))
        done = lmkit(*COMMANDS[way])
        ends.setdefault(done.status, done.stderr)
    assert set(ends) <= ENDS, ends.get(70, ends)


@SEEDS
@pytest.mark.parametrize("way", COUNTING)
@pytest.mark.parametrize("where", ["anywhere", "key", "count", "suffix"])
def test_damaged_counts_are_read_or_refused(seeds, way, where, shelf, lmkit, write):
    data = without_digests(shelf["counts.lm"].read_bytes())
    if where == "anywhere":
        places = np.arange(len(data))
    else:
        places = np.concatenate([tensor_places(data, f"ngrams.{order}.{where}") for order in (2, 3)])
    write("whole.lm", shelf["other-counts.lm"].read_bytes())
    ends = {}
    for seed in seeds:
        write("damaged.lm", damaged(data, seed, places))
        done = lmkit(*COUNTING[way])
        ends.setdefault(done.status, done.stderr)
    assert set(ends) <= ENDS, ends.get(70, ends)


@pytest.mark.parametrize("way", COMMANDS)
def test_truncated_models_are_refused(way, shelf, lmkit, write, one_line):
    data = shelf["witten-bell-2.lm"].read_bytes()
    write("text.txt", b"the cat saw a bird\na zebra\n")
    write("whole.lm", shelf["other.lm"].read_bytes())
    for length in (0, 1, 8, 9, 100, len(data) // 2, len(data) - 1):
        write("damaged.lm", data[:length])
        done = lmkit(*COMMANDS[way])
        assert done.status == 4
        assert done.stdout == b""
        one_line(done.stderr)
        assert "damaged.lm: " in done.stderr


def edited(data, **changes):
    """A checkpoint with other values in its config or tokenizer, and without digests."""
    data = without_digests(data)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for place, value in changes.items():
        part, _, key = place.partition("__")
        settings = json.loads(header["__metadata__"][part])
        settings[key] = value
        header["__metadata__"][part] = json.dumps(settings)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


WRONG = [None, "x", "", -1, 0, 2.5, 1e300, 10**30, True, [], {}, [None], "\n", "a\tb|c"]
READ_BY_ALL = ["config__order", "config__ngrams", "config__smoothing", "tokenizer__type"]
READ_BY_SOME = [
    "config__new",
    "tokenizer__size",
    "tokenizer__specials",
    "tokenizer__digest",
    "origin__inputs",
    "card__x",
]


@pytest.mark.few(6)
@pytest.mark.parametrize(
    ("way", "place"),
    [pytest.param(*way.values, place, marks=way.marks) for way in ways(COMMANDS) for place in READ_BY_ALL]
    + [(way, place) for way in ("ppl", "info", "ngram prune") for place in READ_BY_SOME],
)
def test_models_with_senseless_settings_are_read_or_refused(way, place, shelf, lmkit, write):
    data = shelf["witten-bell-2.lm"].read_bytes()
    write("text.txt", b"the cat saw a bird\na zebra\n")
    write("whole.lm", shelf["other.lm"].read_bytes())
    ends = {}
    for value in WRONG:
        write("damaged.lm", edited(data, **{place: value}))
        done = lmkit(*COMMANDS[way])
        ends.setdefault(done.status, (value, done.stderr))
    assert set(ends) <= ENDS, ends.get(70, ends)


@pytest.mark.parametrize("way", ways(COUNTING))
@pytest.mark.parametrize("place", ["config__order", "config__ngrams", "origin__inputs", "tokenizer__type"])
def test_counts_with_senseless_settings_are_read_or_refused(way, place, shelf, lmkit, write):
    data = shelf["counts.lm"].read_bytes()
    write("whole.lm", shelf["other-counts.lm"].read_bytes())
    ends = {}
    for value in WRONG:
        write("damaged.lm", edited(data, **{place: value}))
        done = lmkit(*COUNTING[way])
        ends.setdefault(done.status, (value, done.stderr))
    assert set(ends) <= ENDS, ends.get(70, ends)


@pytest.mark.parametrize("way", ["score", "info", "info --tensors", "ngram prune", "ngram import"])
@pytest.mark.parametrize("place", ["config__smoothing", "origin__inputs"])
def test_settings_that_are_no_text_are_shown_or_refused(way, place, shelf, lmkit, write):
    """JSON can spell half a surrogate pair, which UTF-8 can't."""
    write("text.txt", b"the cat saw a bird\na zebra\n")
    write("damaged.lm", edited(shelf["witten-bell-2.lm"].read_bytes(), **{place: "\ud800"}))
    done = lmkit(*COMMANDS[way])
    assert done.status in ENDS, done.stderr


def test_settings_that_are_no_numbers_are_not_shown_as_numbers(shelf, lmkit, write):
    write("damaged.lm", edited(shelf["witten-bell-2.lm"].read_bytes(), origin__x=float("nan")))
    done = lmkit("info", "--json", "damaged.lm")
    assert done.status in ENDS
    assert "NaN" not in done.text
