"""Folders of T5, Marian and BART: the numbers of transformers, in numpy and in torch, and its greedy texts."""

import json

import numpy as np
import pytest
from seq2seq_folders import ENGLISH, FAMILIES, SPANISH, save, sentencepiece, spm, torch

from lmkit import registry
from lmkit.architectures.positions import relative_buckets
from lmkit.errors import CheckpointError
from lmkit.io.folders import Folder
from lmkit.nn import factory

ATOL = 1e-4
SOURCES, TARGETS = (7, 1, 40, 7), (5, 9, 30, 5)
STEPS = 6


def pairs(settings, seed):
    """Sources and inputs of targets."""
    rng = np.random.default_rng(seed)
    sources = [rng.integers(0, settings.source_vocabulary, length).astype(np.int32) for length in SOURCES]
    return sources, [rng.integers(0, settings.vocabulary, length).astype(np.int32) for length in TARGETS]


def padded(rows):
    """The rows side by side, zeros behind, and their lengths."""
    lengths = torch.tensor([len(row) for row in rows])
    found = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for place, row in enumerate(rows):
        found[place, : len(row)] = torch.from_numpy(row.astype(np.int64))
    return found, lengths


@pytest.mark.few(2)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_decoder_answers_as_transformers_does(family, seed, tmp_path):
    theirs = save(tmp_path, family, seed)
    ours = registry.load_folder(Folder(str(tmp_path)), "folder")
    sources, inputs = pairs(ours.settings, seed)
    network = factory.loaded(ours.weights).eval()
    with torch.inference_mode():
        together = network.decode(padded(inputs)[0], network.encode(*padded(sources)))
    start = [ours.form.start, *ours.weights.source_form.target]
    nats = ours.score_pairs(sources, inputs)
    for place, (source, target) in enumerate(zip(sources, inputs, strict=True)):
        given = torch.from_numpy(np.concatenate((start, target)).astype(np.int64))[None]
        with torch.inference_mode():
            logits = theirs(torch.from_numpy(source.astype(np.int64))[None], decoder_input_ids=given).logits[0]
            own = theirs(
                torch.from_numpy(source.astype(np.int64))[None],
                decoder_input_ids=torch.from_numpy(target.astype(np.int64))[None],
            ).logits[0]
            found = network.logits(together[place, : len(target)])
        np.testing.assert_allclose(found.numpy(), own.numpy(), atol=ATOL)
        logs = torch.log_softmax(logits, dim=-1).numpy()[len(start) - 1 : -1]
        np.testing.assert_allclose(nats[place], logs[np.arange(len(target)), target], atol=ATOL)
        model = ours.given(source)
        state = model.start()
        for token, wanted in zip(target.tolist(), logs, strict=True):
            np.testing.assert_allclose(model.next(state), wanted[: ours.tokenizer.size], atol=ATOL)
            state = model.advance(state, token)


@pytest.mark.few(1)
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_texts_are_those_of_transformers(family, tmp_path):
    theirs = save(tmp_path, family)
    ours = registry.load_folder(Folder(str(tmp_path)), "folder")
    barred = ours.form.barred or ()
    for text in ENGLISH[:2]:
        source = ours.source_ids(text.encode())
        with torch.inference_mode():
            ids = theirs.generate(
                torch.from_numpy(source.astype(np.int64))[None], do_sample=False, max_new_tokens=STEPS + 1,
                forced_eos_token_id=None, use_cache=False,
            )[0].tolist()  # fmt: skip
        model = ours.given(source)
        state, found = model.start(), [ours.form.start, *ours.weights.source_form.target]
        while len(found) < min(STEPS, len(ids)):
            logs = model.next(state)
            logs[list(barred)] = -np.inf
            found.append(int(logs.argmax()))
            state = model.advance(state, found[-1])
        assert found == ids[: len(found)]
        assert len(found) > 1


def test_text_is_spelled_by_the_models_own_pieces(tmp_path):
    save(tmp_path, "t5")
    t5 = registry.load_folder(Folder(str(tmp_path)), "folder")
    processor = sentencepiece.SentencePieceProcessor(model_proto=spm(tuple(ENGLISH), 40, pad=True))
    for text in (*ENGLISH, "zebras  saw", ""):
        assert t5.source_ids(text.encode()).tolist() == [*processor.encode(text), 1]
    size = processor.get_piece_size()
    assert t5.tokenizer.names[b"<extra_id_0>"] == size + 4
    assert t5.tokenizer.names[b"<extra_id_4>"] == size


@pytest.mark.parametrize("family", ["marian", "marian-apart"])
def test_marian_numbers_the_pieces_of_two_models(family, tmp_path):
    save(tmp_path, family)
    model = registry.load_folder(Folder(str(tmp_path)), "folder")
    ids = json.loads((tmp_path / "vocab.json").read_text())
    targets = json.loads((tmp_path / "target_vocab.json").read_text()) if family == "marian-apart" else ids
    sides = [(ENGLISH, 40, ids, model.source_tokenizer), (SPANISH, 44, targets, model.tokenizer)]
    for lines, size, own, tokenizer in sides:
        processor = sentencepiece.SentencePieceProcessor(model_proto=spm(tuple(lines), size))
        for text in (*lines, "zebra kept", "  two  spaces", "b"):  # unknown characters in a row are one to transformers
            wanted = [own.get(piece, own["<unk>"]) for piece in processor.encode(text, out_type=str)]
            found = tokenizer.encode(text.encode())
            assert found.tolist() == wanted
            if own["<unk>"] not in wanted:
                assert tokenizer.decode(found).decode() == " ".join(text.split())
    assert model.form.barred == (2,)


@pytest.mark.parametrize(
    ("family", "changes", "error"),
    [
        ("t5", {"feed_forward_proj": "gated-tanh"}, "feed_forward_proj 'gated-tanh' is not one"),
        ("t5", {"d_model": "wide"}, "d_model is 'wide', not a whole number"),
        ("t5", {"num_layers": 3}, r"no tensor 'encoder.block.2.layer.0.layer_norm.weight'"),
        ("t5", {"architectures": ["T5EncoderModel"]}, "architecture 'T5EncoderModel' generates no text"),
        ("t5", {"relative_attention_num_buckets": 2}, "make no classes"),
        ("marian", {"normalize_before": True}, "normalize_before True is not one"),
        ("bart", {"decoder_attention_heads": 2}, "4 and 2 heads"),
        ("bart", {"activation_function": "tanh"}, "activation 'tanh'"),
        ("bart", {"d_model": 32}, "is .*, its config.json makes it"),
    ],
)
def test_what_cannot_be_run_exactly_is_refused(family, changes, error, tmp_path):
    save(tmp_path, family)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(CheckpointError, match=error):
        registry.load_folder(Folder(str(tmp_path)), "folder")


def test_a_head_of_its_own_is_kept(tmp_path):
    from safetensors.torch import load_file, save_file

    save(tmp_path, "t5-1.1")
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({**tensors, "lm_head.weight": tensors["shared.weight"] + 1}, tmp_path / "model.safetensors")
    model = registry.load_folder(Folder(str(tmp_path)), "folder")
    assert not model.settings.tied
    assert np.array_equal(model.weights.tensors["lm_head.weight"], tensors["shared.weight"].numpy() + 1)


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (8, 10), (16, 20)])
def test_buckets_are_those_of_transformers(buckets, distance, both):
    from transformers.models.t5.modeling_t5 import T5Attention

    relative = np.arange(-300, 300)
    theirs = T5Attention._relative_position_bucket(
        torch.from_numpy(relative), bidirectional=both, num_buckets=buckets, max_distance=distance
    )
    assert relative_buckets(relative, buckets, distance, both=both).tolist() == theirs.tolist()
