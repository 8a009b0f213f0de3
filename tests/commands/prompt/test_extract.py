"""`lmkit prompt extract`, and answers that are held to its schema."""

import json

import pytest
from random_weights import random_weights

from lmkit.checkpoint import serialize
from lmkit.prompting import event_extraction
from lmkit.tokenization.tokenizers import ByteTokenizer

NAMES = ["Killing", "Robbery", "Violence", "Rape", "Shoot_projectiles", "Abusing"]
FRAMES = """\
frames:
  Killing: {description: alguien causa la muerte de otro, examples: [mató, "dio muerte"]}
  Robbery: alguien se lleva lo ajeno.
  Violence:
  Rape:
  Shoot_projectiles: {examples: [disparó]}
  Abusing:
""".encode()
NOTE = 'Ayer "El Zurdo" mató a dos y robó un banco.'
SHAPE = {"layers": 1, "width": 8, "heads": 1, "kv_heads": 1, "head_width": 8, "hidden": 8, "context": 4096}


@pytest.fixture
def frames(write):
    return write("frames.yaml", FRAMES)


def test_the_prompt_in_spanish_to_the_byte(lmkit, frames):
    done = lmkit("prompt", "extract", "--frames", frames, "--language", "es", "-b", stdin=NOTE.encode())
    assert (done.status, done.stderr) == (0, "")
    assert done.text == (
        "OBJETIVO\n"
        "Encuentra en el texto los eventos que pertenecen a uno de los marcos de esta lista, y las palabras que los "
        "nombran.\n\n"
        "EVENTOS\n"
        "- Killing: alguien causa la muerte de otro (por ejemplo: mató, dio muerte)\n"
        "- Robbery: alguien se lleva lo ajeno.\n"
        "- Violence\n"
        "- Rape\n"
        "- Shoot_projectiles (por ejemplo: disparó)\n"
        "- Abusing\n\n"
        "INSTRUCCIONES\n"
        "1. Escribe JSON y nada más: ninguna palabra antes, ninguna después.\n"
        "2. La respuesta es una sola lista, con un par por cada evento: [marco, disparador].\n"
        "3. Un marco es uno de los de la lista, escrito como está en ella.\n"
        "4. Un disparador se copia del texto tal como está en él: las palabras que nombran el evento, y no más.\n"
        "5. Si el texto no cuenta ninguno de estos eventos, la respuesta es la lista vacía: [].\n\n"
        f"TEXTO\n{NOTE}\n\n"
        "RESPUESTA\n\n"
    )


def test_the_prompt_in_english_to_the_byte(lmkit, write):
    listed = {"goal": "Find\ncrimes.", "frames": ["Killing", {"name": "Robbery", "examples": ["stole"]}]}
    frames = write("frames.json", json.dumps(listed).encode())
    record = {"id": "n", "text": "He stole it.", "label": [["Robbery", "stole"]], "k": 1}
    (done,) = lmkit(
        "prompt", "extract", "--frames", frames, "--input", "jsonl", "--trigger-words", 2, "--max-events", 3,
        stdin=json.dumps(record).encode(),
    ).records  # fmt: skip
    triggers = ["He", "He stole", "stole", "stole it", "it"]
    assert done == {
        "id": "n",
        "prompt": "GOAL\nFind crimes.\n\nEVENTS\n- Killing\n- Robbery (for example: stole)\n\nGUIDELINES\n"
        "1. Write JSON and nothing else: no words before it, none behind it.\n"
        "2. The answer is one list, with a pair for each event: [frame, trigger].\n"
        "3. A frame is one of those listed, spelled as it is listed.\n"
        "4. A trigger is copied from the text exactly as written: the words that name the event, and no more of them.\n"
        "5. If the text has no such event, the answer is the empty list: [].\n\n"
        "TEXT\nHe stole it.\n\nANSWER\n",
        "gold": [["Robbery", "stole"]],
        "input": "He stole it.",
        "json_schema": {
            "type": "array",
            "items": {
                "type": "array", "prefixItems": [{"enum": ["Killing", "Robbery"]}, {"enum": triggers}], "items": False,
                "minItems": 2, "maxItems": 2,
            },
            "maxItems": 3,
        },
        "k": 1,
    }  # fmt: skip


def test_spans_are_words_of_the_text_as_they_stand_there():
    text = 'a "b-c" é_1, 日本 a'
    assert list(event_extraction.spans(text, 1)) == ["a", "b", "c", "é_1", "日本"]
    found = list(event_extraction.spans(text, 3))
    assert 'b-c" é_1' in found
    assert all(span in text for span in found)
    assert len(found) == len(set(found))
    assert list(event_extraction.spans("?! ", 3)) == []


def test_answers_of_random_weights_are_valid(lmkit, write, frames):
    pytest.importorskip("llguidance")
    weights = random_weights("transformer", ByteTokenizer(), by="stream", **SHAPE)
    model = write("bytes.lm", b"".join(serialize(weights.to_checkpoint({}))))
    notes = f"{NOTE}\n\n?!\nRobó — ¿qué?\n".encode()
    prompts = lmkit("prompt", "extract", "--frames", frames, stdin=notes).stdout
    sampling = ["sample", "-m", model, "--input", "jsonl", "-", "--max-tokens", 3000, "-n", 4]
    done = lmkit(*sampling, "--json-schema", '{"type": "null"}', stdin=prompts)
    assert (done.status, done.stderr) == (0, "")
    for record in done.records:
        for frame, trigger in json.loads(record["text"]):
            assert frame in NAMES
            assert trigger in record["input"]
    checked = lmkit("prompt", "extract", "--frames", frames, "--check-answers", stdin=done.stdout)
    assert checked.status == 0
    assert [record["events"] for record in checked.records] == [json.loads(record["text"]) for record in done.records]
    assert any(record["events"] for record in checked.records)
    assert [record["text"] for record in done.records][4:12] == ["[]"] * 8


def test_answers_are_checked(lmkit, frames):
    answers = [
        '[["Killing", "mató"], ["Robbery", "robó un"]]', "[]", "no", '{"Killing": "mató"}', '[["Killing"]]',
        '[["Murder", "mató"], ["Killing", "mata"], ["Killing", ""], ["Robbery", "robó"]]',
    ]  # fmt: skip
    data = "".join(
        json.dumps({"id": place, "input": NOTE, "text": text, "json_schema": {}, "k": 1}) + "\n"
        for place, text in enumerate(answers)
    )
    done = lmkit("prompt", "extract", "--frames", frames, "--check-answers", stdin=data.encode())
    assert done.status == 1
    assert [record["valid"] for record in done.records] == [True, True, False, False, False, False]
    assert done.records[0] == {
        "id": 0, "events": [["Killing", "mató"], ["Robbery", "robó un"]], "valid": True, "problems": [], "input": NOTE,
        "text": answers[0], "k": 1,
    }  # fmt: skip
    assert [record["problems"] for record in done.records][2:] == [
        ["not JSON"], ["not a list"], ["event 1: not a frame and a trigger"],
        ["event 1: 'Murder' is not one of the frames", "event 2: 'mata' is not in the text",
         "event 3: '' is not in the text"],
    ]  # fmt: skip
    assert done.records[5]["events"] == [["Robbery", "robó"]]
    assert "4 of 6 answers are invalid: 2 (not JSON), 3 (not a list)" in done.stderr


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("", "no `frames`"),
        ("frames: []", "not a list of frames"),
        ("frames: [A, A]", "'A' is repeated"),
        ("frames: {A: x, A: y}", "frames:1: 'A' occurs twice"),
        ('{"frames": {"A": "x", "A": "y"}}', "'A' occurs twice"),
        ("frames: {No: x}", "no `name`, a text of one line"),
        ("frames: [{name: A, colour: red}]", "frame 1 has other fields"),
        ("frames: [{name: A, examples: x}]", "frame 'A'"),
        ("frames: [A]\ngaol: x", "'gaol' is neither"),
        ("frames: [A]\ngoal: [x]", "`goal` is not a text"),
        ("frames: [\n{", "neither YAML nor JSON"),
        ("frames: &a [*a]", "frame 1 has other fields"),
        ("[" * 99999, "neither YAML nor JSON"),
        ("\x00", "neither YAML nor JSON"),
    ],
)
def test_what_is_wrong_with_frames_is_one_line(document, told, fails, write):
    done = fails(3, "prompt", "extract", "--frames", write("frames", document.encode()), stdin=b"a\n")
    assert told in done.stderr
    assert "frames" in done.stderr


def test_what_else_is_wrong_is_one_line(fails, frames, write):
    assert "no frames" in fails(2, "prompt", "extract").stderr
    assert "two things" in fails(2, "prompt", "extract", "--frames", "-").stderr
    assert "not UTF-8" in fails(3, "prompt", "extract", "--frames", write("junk", b"\xff")).stderr
    check = ["prompt", "extract", "--frames", frames, "--check-answers"]
    assert "<stdin>:1: no field 'input'" in fails(3, *check, stdin=b'{"text": "[]"}\n').stderr
    assert "<stdin>:1: not JSON" in fails(3, *check, stdin=b"[]x\n").stderr
