"""Models of other makers behave as these mean it: where texts begin and end, templates, settings of generation."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published_models import PROMPTS, files_of, generated, saved, torch, transformers

from lmkit.architectures import published_settings
from lmkit.architectures.huggingface import folder
from lmkit.architectures.neural_model import LoadedModel
from lmkit.architectures.published_settings import Published
from lmkit.checkpoint import parse
from lmkit.data.sequences import ALONE, ALWAYS, NEVER, TextFormat, encode_prompt
from lmkit.errors import CheckpointError, DataError
from lmkit.generation import prompt_encoding
from lmkit.generation.beam_search import Beams, BeamSearch
from lmkit.generation.engine import Completion, Generator, Request, completions
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Sampler
from lmkit.generation.steppers import BatchedStepper, SequentialStepper

FEW = (0, 1)
TWENTY = [seed if seed in FEW else pytest.param(seed, marks=pytest.mark.slow) for seed in range(20)]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What transformers warns of is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def model_of(path: Path) -> Any:
    from lmkit.inference.transformer import TransformerModel

    return TransformerModel(folder.read(files_of(path)))


def requests_of(model: Any, texts: Any = PROMPTS) -> list[Request]:
    found = []
    for number, text in enumerate(texts):
        ids = encode_prompt(model.tokenizer, model.form, text.encode())
        found.append(Request(number, ids, lambda ids=ids: prompt_encoding.state_after(model, ids), label=text))
    return found


def chooser_of(model: Any, *, greedy: bool = True) -> Sampler:
    return Sampler(Filtering().chain(), never=prompt_encoding.never(model, unknown=False), greedy=greedy)


def texts_of(model: Any, stepper: Any, requests: list[Request], **options: Any) -> dict[str, Completion]:
    events = Generator(model, stepper, most=30, **options).run(requests)
    return {event.request.label: event for event in completions(events)}


@pytest.mark.few(1)
@pytest.mark.parametrize("seed", TWENTY)
def test_texts_are_those_of_transformers_to_the_token(seed: int, tmp_path: Path) -> None:
    theirs, words = saved(tmp_path / "model", seed)
    model = model_of(tmp_path / "model")
    expected = {text: generated(theirs, words, text) for text in PROMPTS}
    for make in (SequentialStepper, BatchedStepper):
        found = texts_of(model, make(model, chooser_of(model)), requests_of(model), batch=4)
        assert {text: [*one.ids, *one.closing] for text, one in found.items()} == expected
    ends = prompt_encoding.ends_of(model.form)
    for tokens in expected.values():
        assert not set(tokens[:-1]) & set(ends)
    drawn = texts_of(model, SequentialStepper(model, chooser_of(model, greedy=False)), requests_of(model))
    for one in drawn.values():
        assert not set(one.ids) & set(ends)
        assert (one.finish_reason == "eos") == bool(one.closing) == (len(one.ids) < 30)


@pytest.mark.few(1)
@pytest.mark.parametrize("seed", TWENTY)
def test_beams_end_at_every_end(seed: int, tmp_path: Path) -> None:
    saved(tmp_path / "model", seed)
    model = model_of(tmp_path / "model")
    ends = set(prompt_encoding.ends_of(model.form))
    search = BeamSearch(model, Beams(3, 3), most=20, never=prompt_encoding.never(model, unknown=False))
    for found in search.run(requests_of(model, PROMPTS[:2])):
        assert not set(found.ids) & ends
        assert (found.finish_reason == "eos") == (bool(found.closing) and found.closing[0] in ends)


@pytest.mark.few(1)
@pytest.mark.parametrize("seed", TWENTY)
def test_texts_begin_as_those_of_the_tokenizer(seed: int, tmp_path: Path) -> None:
    """Likelihoods of continuations are those that transformers' tokenizer and model give, by default on both sides."""
    theirs, words = saved(tmp_path / "model", seed)
    model = model_of(tmp_path / "model")
    text = "the cat sat on a hat"
    ids = words(text, return_tensors="pt").input_ids
    begun = [1] if words("").input_ids == [1] else []
    assert (model.form.bos, model.form.start) == (ALWAYS if begun else ALONE, 1)
    own = encode_prompt(model.tokenizer, model.form, text.encode())
    assert [*begun, *own.tolist()] == ids[0].tolist() == model.form.begun(own).tolist()
    with torch.inference_mode():
        logs = torch.log_softmax(theirs(ids).logits[0].double(), dim=-1)
    wanted = [float(logs[place - 1, ids[0, place]]) for place in range(len(begun) + 3, ids.shape[1])]
    (nats,) = model.trunk().endings(own[:3], [own[3:]])
    assert nats == pytest.approx(wanted, abs=1e-4)


def test_rolling_likelihood_is_that_of_the_harness(tmp_path: Path) -> None:
    """lm-evaluation-harness puts the prefix token, bos or else eos, before a text, and predicts every token."""
    theirs, words = saved(tmp_path / "model", 1)
    weights = folder.read(files_of(tmp_path / "model"))
    ids = [1, *words("the cat\nsat on", add_special_tokens=False).input_ids]
    with torch.inference_mode():
        logs = torch.log_softmax(theirs(torch.tensor([ids])).logits[0].double(), dim=-1)
    each = [float(logs[place, ids[place + 1]]) for place in range(len(ids) - 1)]

    def nats(model: Any) -> list[float]:
        return [value for _, some in model.read([b"the cat\nsat on"]) for value in some.tolist()]

    for model in _both(weights):
        assert nats(model) == pytest.approx(each, abs=1e-4)


def _both(weights: LoadedModel) -> list[Any]:
    """The model in numpy and in torch."""
    from lmkit.inference.transformer import TransformerModel
    from lmkit.nn.language_model import open_model

    return [TransformerModel(weights), open_model(weights)]


def test_without_a_start_token_the_first_token_is_given(tmp_path: Path) -> None:
    from dataclasses import replace

    theirs, words = saved(tmp_path / "model", 2)
    weights = folder.read(files_of(tmp_path / "model"))
    weights = replace(weights, form=replace(weights.form, bos=NEVER))
    text = " ".join(["the cat sat"] * 20)  # longer than the context
    ids = words(text, add_special_tokens=False).input_ids
    assert len(ids) > 64
    for model in _both(weights):
        read = [
            (token, value)
            for some, nats in model.read([text.encode()])
            for token, value in zip(some, nats, strict=True)
        ]
        assert [token for token, _ in read] == ids[1:]
        context = torch.tensor([ids[:40]])
        with torch.inference_mode():
            logs = torch.log_softmax(theirs(context).logits[0].double(), dim=-1)
        wanted = [float(logs[place, ids[place + 1]]) for place in range(39)]
        assert [value for _, value in read[:39]] == pytest.approx(wanted, abs=1e-4)
        array = np.array([*ids[:40], *ids[:1]], dtype=np.int32)
        found = model.score_many(array, np.array([0, 40, 41], dtype=np.int64))
        assert found[[0, 40]].tolist() == [0, 0]
        assert found[1:40].tolist() == pytest.approx(wanted, abs=1e-4)
        assert [factor.context for factor in model.explain(ids[:3])] == [(), tuple(ids[:1]), tuple(ids[:2])]
        with pytest.raises(DataError, match="nothing to predict"):
            prompt_encoding.state_after(model, np.zeros(0, np.int32))


@pytest.mark.parametrize(
    ("files", "config", "ends"),
    [
        ({}, {"eos_token_id": 5}, (5,)),
        ({}, {"eos_token_id": [5, 6, 5]}, (5, 6)),
        ({}, {"eos_token_id": None}, ()),
        ({}, {}, ()),
        ({"eos_token_id": [7, 99]}, {"eos_token_id": 5}, (7,)),  # 99 is beyond the vocabulary
        ({"temperature": 0.5}, {"eos_token_id": 5}, ()),  # as in transformers, config.json is not asked then
    ],
)
def test_which_file_says_what_ends_texts(files: Any, config: Any, ends: Any) -> None:
    written = {"generation_config.json": json.dumps(files).encode()} if files else {}
    assert published_settings.ends_in(config, written, 50) == ends


@pytest.mark.parametrize("value", [-1, "x", [2.0], True, [[1]]])
def test_what_is_no_token_ends_no_text(value: Any) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json: eos_token_id .* is no token"):
        published_settings.ends_in({"eos_token_id": value}, {}, 50)


def test_a_config_that_is_silent_means_the_defaults_of_its_class(tmp_path: Path) -> None:
    saved(tmp_path / "model", 1)
    files = files_of(tmp_path / "model")
    config = {key: value for key, value in json.loads(files["config.json"]).items() if key != "eos_token_id"}
    files["config.json"] = json.dumps(config).encode()
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert folder.read(files).form.ends == (2,)


def test_a_checkpoint_and_a_folder_carry_it_all(tmp_path: Path, lmkit: Callable[..., Any]) -> None:
    theirs, _ = saved(tmp_path / "model", 0)
    settings = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "pad_token_id": 0}
    theirs.generation_config.update(**settings)
    theirs.generation_config.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "additional_chat_templates").mkdir()
    (tmp_path / "model" / "additional_chat_templates" / "tool_use.jinja").write_text("T{{ eos_token }}")
    first = folder.read(files_of(tmp_path / "model"))
    assert first.published.generation == settings
    assert sorted(first.published.chat_templates) == ["default", "tool_use"]
    assert lmkit("convert", tmp_path / "model", "-o", tmp_path / "model.lm").status == 0
    content = parse((tmp_path / "model.lm").read_bytes())
    second = LoadedModel.from_checkpoint(content)
    assert (second.form, second.published) == (first.form, first.published)
    assert lmkit("convert", tmp_path / "model.lm", "-o", tmp_path / "out").status == 0
    third = folder.read(files_of(tmp_path / "out"))
    assert (third.form, third.published) == (first.form, first.published)
    shown = {name: lmkit("info", tmp_path / name).lines for name in ("model", "model.lm", "out")}
    for lines in shown.values():
        wanted = ["generation.temperature\t0.6", "tokenizer.chat_templates\tdefault, tool_use"]
        assert {*wanted, f"text.ends\t{list(first.form.ends)}"} <= set(lines)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert again.chat_template == first.published.chat_templates
    assert again("a").input_ids[0] == 1
    loaded = transformers.GenerationConfig.from_pretrained(tmp_path / "out")
    assert (loaded.temperature, loaded.eos_token_id) == (0.6, theirs.generation_config.eos_token_id)


@pytest.mark.few(1)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_folder_written_anew_begins_and_ends_texts_as_before(seed: int, tmp_path: Path) -> None:
    from lmkit.architectures.huggingface.export import write

    saved(tmp_path / "model", seed)
    weights = folder.read(files_of(tmp_path / "model"))
    files = {name: b"".join(map(bytes, pieces)) for name, pieces in write(weights).items()}
    for silent in ({}, {"lmkit": None}):
        config = {**json.loads(files["config.json"]), **silent}
        found = folder.read({**files, "config.json": json.dumps(config).encode()})
        assert found.form == weights.form
        assert found.published.special_tokens == weights.published.special_tokens


# Forms in checkpoints.


def test_forms_of_models_trained_here_are_written_as_ever() -> None:
    form = TextFormat("stream", 2, 2)
    assert form.to_json() == {"by": "stream", "start": 2, "line_end": 2, "document_end": None}
    other = TextFormat("stream", 1, None, ends=(3, 2), bos=ALONE)
    assert other.to_json()["ends"] == [3, 2]
    for one in (form, other):
        assert TextFormat.from_json(json.loads(json.dumps(one.to_json())), 9) == one


@pytest.mark.parametrize(
    "changes", [{"ends": 2}, {"ends": [9]}, {"ends": ["x"]}, {"bos": "never"}, {"bos": 1}, {"x": 1}]
)
def test_damaged_forms_are_refused(changes: Mapping[str, Any]) -> None:
    values = {"by": "stream", "start": 2, "line_end": None, "document_end": None, **changes}
    with pytest.raises(CheckpointError):
        TextFormat.from_json(values, 9)


@pytest.mark.parametrize(
    ("config", "tokenizer"),
    [({"generation": []}, {}), ({}, {"chat_templates": "x"}), ({}, {"chat_templates": {"default": 1}}),
     ({}, {"special_tokens": {"bos_token": None}})],
)  # fmt: skip
def test_damaged_metadata_is_refused(config: Any, tokenizer: Any) -> None:
    with pytest.raises(CheckpointError, match="damaged checkpoint"):
        published_settings.in_checkpoint(config, tokenizer)


# What a tokenizer.json puts in front.

TEMPLATE = {
    "type": "TemplateProcessing", "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}},
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
}  # fmt: skip
LEVEL = {"type": "ByteLevel"}


@pytest.mark.parametrize(
    ("processor", "tokens"),
    [
        (None, []), (LEVEL, []), (TEMPLATE, [4]),
        ({**TEMPLATE, "single": TEMPLATE["single"][::-1]}, []),
        ({"type": "Sequence", "processors": [LEVEL, TEMPLATE]}, [4]),
        ({"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}, [0]),
    ],
)  # fmt: skip
def test_what_stands_in_front(processor: Any, tokens: list[int]) -> None:
    assert list(published_settings.first_tokens({"post_processor": processor})) == tokens


@pytest.mark.parametrize("change", [{"single": 1}, {"special_tokens": {}}, {"single": [{"SpecialToken": {}}]}])
def test_a_damaged_post_processor_is_refused(change: Any) -> None:
    with pytest.raises(CheckpointError, match="post_processor is damaged"):
        published_settings.first_tokens({"post_processor": {**TEMPLATE, **change}})


# GGUF files.


def test_what_a_gguf_file_says() -> None:
    values = {
        "tokenizer.ggml.tokens": ["<s>", "</s>", "<|eot|>", "x"], "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.eot_token_id": 2, "tokenizer.ggml.eom_token_id": 9,
        "tokenizer.chat_template": "D", "tokenizer.chat_template.tool_use": "T",
        "tokenizer.chat_templates": ["tool_use"],
    }  # fmt: skip
    assert published_settings.ends_in_gguf(values, 4) == (1, 2)
    found = published_settings.in_gguf(values)
    assert found == Published({"default": "D", "tool_use": "T"}, {"bos_token": "<s>", "eos_token": "</s>"})
