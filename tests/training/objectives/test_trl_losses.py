"""Losses beside those of trl's trainers on the same batch with the same model; recorded where trl is missing."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import random_models
import torch
from random_weights import random_tensors, random_weights

from lmkit.architectures.huggingface import export
from lmkit.data.answer_sequences import AnswerSequence
from lmkit.io.folders import write_folder
from lmkit.nn import factory
from lmkit.nn.tuned_language_model import TunedLanguageModel
from lmkit.training.answer_batches import AnswerItems, PreferencePairs
from lmkit.training.objectives.answers import AnswerModelling
from lmkit.training.objectives.objective import tensors_of
from lmkit.training.objectives.preferences import PreferenceOptimisation, answer_sums

SIZES = {
    "layers": 2, "width": 16, "heads": 4, "kv_heads": 2, "head_width": 4, "hidden": 24, "context": 48,
    "tied": True, "query_key_norm": False,
}  # fmt: skip
BETA, SMOOTHING = 0.1, 0.2
SFT, DPO, SMOOTHED = 8.379760, 0.961275, 0.896821
"""Of trl 1.16.0 with transformers 5.24 and torch 2.13, by the test that runs it."""


def sequence(seed):
    rng = np.random.default_rng(seed)
    prompt, answer = rng.integers(3, 9), rng.integers(1, 12)
    return AnswerSequence(rng.integers(3, 60, prompt + answer).astype(np.int32), np.arange(prompt + answer) >= prompt)


def answer_of(prompted, other):
    """The answer of another sequence to the prompt of one."""
    prompt, answer = prompted.ids[~prompted.learned], other.ids[other.learned]
    return AnswerSequence(np.concatenate((prompt, answer)), np.arange(len(prompt) + len(answer)) >= len(prompt))


CHOSEN = [sequence(seed) for seed in range(6)]
REJECTED = [answer_of(one, other) for one, other in zip(CHOSEN, [*CHOSEN[1:], CHOSEN[0]], strict=True)]


def models():
    """A policy, and the reference that it has moved away from."""
    reference = random_weights("transformer", random_models.tokenizer("llama"), **SIZES)
    noise = random_tensors(reference.settings, seed=1)
    moved = {name: array + np.float32(0.5) * noise[name] for name, array in reference.tensors.items()}
    return replace(reference, tensors=moved), reference


def network_of(weights):
    return TunedLanguageModel(factory.loaded(weights), trained=()).eval()


def ours():
    """Losses of instruction tuning, of preferences, and of these with label smoothing."""
    policy, reference = map(network_of, models())

    def mean(objective, items):
        batch = items.batch(np.arange(len(CHOSEN)))
        with torch.no_grad():
            found = objective.loss(policy, tensors_of(batch.arrays, policy.device), None)
        return float(found.total) / batch.weight

    pairs = list(zip(CHOSEN, REJECTED, strict=True))
    first = PreferencePairs(pairs, np.zeros((len(pairs), 2), np.float32)).batch(np.arange(len(pairs)))
    with torch.no_grad():
        scores = answer_sums(reference, tensors_of(first.arrays, reference.device))
    items = PreferencePairs(pairs, scores.numpy())
    return (
        mean(AnswerModelling(), AnswerItems(CHOSEN)),
        mean(PreferenceOptimisation(BETA), items),
        mean(PreferenceOptimisation(BETA, SMOOTHING), items),
    )


def padded(sequences):
    most = max(len(one.ids) for one in sequences)
    ids = torch.zeros(len(sequences), most, dtype=torch.long)
    attention, learned = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, one in enumerate(sequences):
        size = len(one.ids)
        ids[row, :size], attention[row, :size] = torch.from_numpy(one.ids), 1
        learned[row, :size] = torch.from_numpy(one.learned)
    return {"input_ids": ids, "attention_mask": attention}, learned


def test_losses_are_those_recorded_of_trl():
    assert ours() == pytest.approx((SFT, DPO, SMOOTHED), rel=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_losses_are_those_of_trl(work, monkeypatch):
    trl = pytest.importorskip("trl")
    arrow, transformers = importlib.import_module("datasets.arrow_dataset"), importlib.import_module("transformers")
    monkeypatch.setattr(arrow, "generate_fingerprint", lambda _dataset: "0" * 16)
    for name, weights in zip(("policy", "reference"), models(), strict=True):
        write_folder(name, export.write(weights))
    load = transformers.AutoModelForCausalLM.from_pretrained
    tokenizer = transformers.AutoTokenizer.from_pretrained("policy")
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    quiet = {"output_dir": "out", "report_to": [], "use_cpu": True, "bf16": False, "save_strategy": "no"}

    def trainer(kind, columns, *models, **settings):
        made, config = getattr(trl, f"{kind}Trainer"), getattr(trl, f"{kind}Config")
        monkeypatch.setattr(made, "_prepare_dataset", lambda _self, dataset, *_args, **_more: dataset)
        rows = arrow.Dataset.from_list([{name: [1] for name in columns}])
        args = config(**quiet, max_steps=1, gradient_checkpointing=False, **settings)
        return made(*models, args=args, train_dataset=rows, processing_class=tokenizer)

    def loss(trainer, inputs):
        with torch.no_grad():
            return float(trainer.compute_loss(trainer.model.eval(), inputs))

    texts, learned = padded(CHOSEN)
    tuning = trainer("SFT", ("input_ids", "labels"), load("policy"))
    sft = loss(tuning, {**texts, "labels": texts["input_ids"].masked_fill(learned == 0, -100)})
    columns = ("prompt_ids", "chosen_ids", "rejected_ids")
    plain = trainer("DPO", columns, load("policy"), load("reference"), beta=BETA)
    # the loss that trl smooths is "aot", which is that of DPO for a pair alone
    one_pair = {"loss_type": "aot", "label_smoothing": SMOOTHING}
    smoothed = trainer("DPO", columns, load("policy"), load("reference"), beta=BETA, **one_pair)
    texts, learned = padded([*CHOSEN, *REJECTED])
    dpo = loss(plain, {**texts, "completion_mask": learned})
    alone = []
    for pair in zip(CHOSEN, REJECTED, strict=True):
        texts, learned = padded(pair)
        alone.append(loss(smoothed, {**texts, "completion_mask": learned}))
    assert ours() == pytest.approx((sft, dpo, np.mean(alone)), rel=1e-5)
    assert (sft, dpo, np.mean(alone)) == pytest.approx((SFT, DPO, SMOOTHED), rel=1e-5)
