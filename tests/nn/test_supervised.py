"""`nn.supervised`: networks with heads, beside the same models in numpy; what stays as it was; adapters."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_weights import random_weights
from tiny_encoders import tiny_encoder

from lmkit.architectures.adapters import Adapter, AdapterWeights
from lmkit.architectures.fine_tuned import FineTunedWeights, body_of, item_format, with_tensors
from lmkit.architectures.heads import TaskHead
from lmkit.architectures.huggingface.export import write
from lmkit.inference.fine_tuned import model_of
from lmkit.io.folders import write_folder
from lmkit.label_chain import Packing, expectations
from lmkit.nn import factory
from lmkit.nn.encoder_model import TorchEncoder
from lmkit.nn.supervised import HEAD_SCALE, SupervisedNetwork, trained_tensors
from lmkit.tokenization.tokenizers import ByteTokenizer
from lmkit.training.item_batches import Items
from lmkit.training.objectives.supervised import Supervised
from lmkit.training.optimizers import AdamW

TEXTS = [("the cat sat on a mat",), ("it was tired",), ("",), ("a b c a b c a b",)]
PAIRS = [("the cat", "a dog sat"), ("it", ""), ("a b c", "c"), ("mat", "mat mat mat mat")]
SHAPES = ["bert", "electra", "ours", "gpt2", "llama", "lstm", "mingru"]


def body(shape):
    """A tiny body of any family, without a head of its own."""
    if shape in ("bert", "electra", "ours"):
        return body_of(tiny_encoder(shape))
    own = ByteTokenizer()
    if shape in ("lstm", "mingru"):
        return body_of(random_weights("rnn", own, cell=shape, layers=2, width=8))
    more = {"positions": "learned", "normalisation": "layernorm", "activation": "gelu", "bias": "all"}
    return body_of(
        random_weights(
            "transformer",
            own,
            layers=2,
            width=8,
            heads=2,
            kv_heads=2,
            head_width=4,
            hidden=12,
            context=40,
            **(more if shape == "gpt2" else {}),
        )
    )


def head_of(made, pooling="mean", task="classify", sides=1):
    labels = () if task == "regress" else ("x", "y", "z")
    return TaskHead(task=task, width=made.settings.width, labels=labels, pooling=pooling, sides=sides)


def network_of(made, head, mode="all", layers=None, adapter=None, **more):
    base = factory.loaded(made)
    start = getattr(made.form, "start", 0)
    trained = trained_tensors(base, mode, layers)
    network = SupervisedNetwork(base, head, trained=trained, adapter=adapter, start=start, **more)
    network.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.head.weight.normal_(std=0.03, generator=torch.Generator().manual_seed(1))
        network.head.bias.normal_(std=0.03, generator=torch.Generator().manual_seed(2))
    return network.eval()


def items_of(made, several):
    sequences = [item_format(made).item(one) for one in several]
    return Items(sequences, np.zeros(len(several), np.int64), np.ones(len(several), np.float32))


def tensors(items, chosen):
    arrays = items.batch(np.array(chosen)).arrays
    return {
        name: torch.from_numpy(array.astype(np.int64) if array.dtype.kind in "iu" else array)
        for name, array in arrays.items()
    }


def head_tensors(network):
    return {
        "head.weight": HEAD_SCALE * network.head.weight.detach().numpy(),
        "head.bias": HEAD_SCALE * network.head.bias.detach().numpy(),
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pooling", ["mean", "first or last"])
def test_numpy_gives_the_same_numbers_and_padding_none(shape, pooling):
    made = body(shape)
    if pooling != "mean":
        pooling = "cls" if shape in ("bert", "electra", "ours") else "last"
    several = PAIRS if shape in ("bert", "gpt2", "lstm") else TEXTS
    head = head_of(made, pooling, "regress", len(several[0]))
    network, items = network_of(made, head), items_of(made, several)
    with torch.no_grad():
        together = network.outputs(tensors(items, [0, 1, 2, 3])).numpy()[:, 0]
        alone = [network.outputs(tensors(items, [place])).numpy()[0, 0] for place in range(4)]
    assert alone == pytest.approx(together, rel=1e-5, abs=1e-5)
    model = model_of(FineTunedWeights(made, head, head_tensors(network)))
    assert model.predicted_values(several) == pytest.approx(together, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("shape", ["gpt2", "llama"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_state_at_the_end_is_that_of_transformers_with_padding_on_either_side(shape, side, work):
    """Row H1: start, first, delimiter, second, extract."""
    import transformers

    made = body(shape)
    write_folder("folder", write(made))
    theirs = transformers.AutoModel.from_pretrained("folder").eval()
    network, items = network_of(made, head_of(made, "last", sides=2)), items_of(made, PAIRS)
    most = max(len(one.ids) for one in items.sequences)
    ids, mask = (torch.zeros((len(PAIRS), most), dtype=torch.long) for _ in range(2))
    for row, one in enumerate(items.sequences):
        place = slice(most - len(one.ids), most) if side == "left" else slice(0, len(one.ids))
        ids[row, place], mask[row, place] = torch.from_numpy(one.ids.astype(np.int64)), 1
    last = most - 1 - mask.flip(1).argmax(dim=1)
    with torch.no_grad():
        places = (mask.cumsum(dim=1) - 1).clamp(min=0)
        hidden = theirs(input_ids=ids, attention_mask=mask, position_ids=places).last_hidden_state
        expected = HEAD_SCALE * network.head(hidden[torch.arange(len(PAIRS)), last])
        found = network.outputs(tensors(items, range(len(PAIRS))))
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def step(network, items, decay=0.1):
    """One step of AdamW on all items."""
    moved = {name: tensor for name, tensor in network.named_parameters() if tensor.requires_grad}
    optimizer = AdamW(moved)
    for number in (1, 2):
        network.train()
        loss = Supervised(network.task.task).loss(network, tensors(items, range(len(items.sequences))), None)
        loss.total.backward()
        optimizer.step(number, 0.01, decay)
        for tensor in network.parameters():
            tensor.grad = None
    return network.eval()


@pytest.mark.parametrize("shape", ["bert", "llama", "lstm"])
@pytest.mark.parametrize(("mode", "layers"), [("head", None), ("layers", (1, 1)), ("all", None)])
def test_what_is_frozen_keeps_its_bytes_under_weight_decay(shape, mode, layers):
    made = body(shape)
    network = step(network_of(made, head_of(made), mode, layers), items_of(made, TEXTS))
    after = network.states.body.to_arrays()
    changed = {name for name in after if after[name].tobytes() != made.tensors[name].tobytes()}
    expected = {"head": set(), "layers": {name for name in after if name.startswith("layers.1.")}}.get(mode, set(after))
    unused = {name for name in expected if "lm_head" in name or "pooler" in name}
    assert changed <= expected
    assert {name for name in expected - unused if after[name].ndim > 1} <= changed
    assert set(network.places) == {"head.weight", "head.bias", *expected}


@pytest.mark.parametrize("shape", ["bert", "llama"])
def test_adapters_begin_as_nothing_and_merge(shape):
    made = body(shape)
    adapter = Adapter(rank=2, alpha=3.0, targets=("q_proj", "v_proj", "down_proj"))
    head, items = head_of(made), items_of(made, TEXTS)
    network, plain = network_of(made, head, "lora", None, adapter), network_of(made, head, "head")
    batch = tensors(items, [0, 1, 2, 3])
    with torch.no_grad():
        assert torch.equal(network.outputs(batch), plain.outputs(batch))
    count = sum(tensor.numel() for tensor in network.parameters() if tensor.requires_grad)
    shapes = [made.settings.body_shapes()[name] for name in adapter.matrices(made.settings)]
    assert count == sum(2 * (rows + columns) for rows, columns in shapes) + 3 * (made.settings.width + 1)
    network = step(network, items)
    before = {name: tensor.tobytes() for name, tensor in made.tensors.items()}
    assert {name: array.tobytes() for name, array in network.states.body.to_arrays().items()} == before
    arrays = network.to_arrays()
    own = {name: array for name, array in arrays.items() if "lora" in name}
    assert any(array.any() for name, array in own.items() if name.endswith("lora_b"))
    merged = AdapterWeights(adapter, made.digest, own).merged_into(made)
    with torch.no_grad():
        adapted = torch.softmax(network.outputs(batch), dim=1).numpy()
    model = model_of(FineTunedWeights(merged, head, head_tensors(network)))
    assert model.label_probabilities(TEXTS) == pytest.approx(adapted, abs=1e-5)
    assert not np.allclose(
        model_of(FineTunedWeights(with_tensors(made, {}), head, head_tensors(network))).label_probabilities(TEXTS),
        adapted, atol=1e-4,
    )  # fmt: skip


def test_a_conditional_random_field_is_that_of_numpy():
    made = body("bert")
    head = replace(head_of(made, task="tag"), crf=True)
    network = network_of(made, head)
    with torch.no_grad():
        for number, tensor in enumerate(network.chain.values()):
            tensor.normal_(std=0.1, generator=torch.Generator().manual_seed(number))
    lengths = np.array([3, 0, 1, 4])
    rng = np.random.default_rng(1)
    emissions, labels = rng.normal(size=(8, 3)), rng.integers(3, size=8)
    losses = network.double().chain_losses(*(torch.from_numpy(one) for one in (emissions, labels, lengths)))
    chain, begin = network.label_chain(), 0
    for loss, length in zip(losses.tolist(), lengths.tolist(), strict=True):
        own = slice(begin, begin + length)
        expected = 0.0
        if length:
            partition = expectations(chain, emissions[own], Packing.of(np.array([length]))).log_partition
            expected = partition - chain.score(emissions[own], labels[own])
        assert loss == pytest.approx(expected, abs=1e-6)
        begin += length
    x = torch.from_numpy(emissions).requires_grad_()
    others = torch.from_numpy(labels), torch.from_numpy(lengths)
    assert torch.autograd.gradcheck(lambda x: network.chain_losses(x, *others).sum(), x, atol=1e-4)


def test_long_sentences_are_read_in_windows():
    made = body("bert")
    form = item_format(made)
    words = ("the", "cat", "sat", "on", "a", "mat", "b", "c", "dog") * 9
    windows = form.word_windows(words)
    assert len(windows) > 3
    assert sum(len(one.words) for one in windows) == len(words)
    assert all(len(one.ids) <= form.limit for one in windows)
    read = [int(one.ids[place]) for one in windows for place in one.words]
    assert read == [form.tokenizer.encode(word.encode())[0] for word in words]
    (short,) = form.word_windows(words[:30])
    assert short.words.tolist() == form.words(words[:30]).words.tolist()
    (clipped,) = form.word_windows(("a" * 60,))
    assert (len(clipped.ids), len(clipped.words)) == (form.limit, 1)


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_batches_of_torch_have_the_numbers_of_numpy(task):
    made = tiny_encoder("bert", task="none")
    head = head_of(body_of(made), "cls", task)
    rng = np.random.default_rng(4)
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in head.shapes().items()}
    model = model_of(FineTunedWeights(body_of(made), head, tensors))
    batched = model.on(TorchEncoder(body_of(made)))
    if task == "tag":
        sentences = [text.split() for (text,) in TEXTS] + [["the", "cat"] * 40]
        assert batched.word_labels(sentences) == model.word_labels(sentences)
    else:
        found, expected = (one.label_probabilities(TEXTS * 40) for one in (batched, model))
        np.testing.assert_allclose(found, expected, atol=1e-5)
