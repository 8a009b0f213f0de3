"""Experiments of examples/, run as a user would; those that train are small here."""

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lmkit import registry

ROOT = Path(__file__).resolve().parents[2]


def made(name, work, *variables):
    """Runs an example of this lmkit into the folder `out`."""
    make = shutil.which("make")
    assert make is not None, "examples are driven by make"
    own = [f"LMKIT={sys.executable} -m lmkit", f"PYTHON={sys.executable}", f"OUT={work}/out", *variables]
    done = subprocess.run(
        [make, "-f", ROOT / "examples" / f"{name}.mk", *own], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def rows(path):
    header, *lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_one_checkpoint_is_judged_by_perplexity_and_at_a_task(work):
    """Row A20."""
    done = made("evaluation", work)
    assert done.stderr == ""
    before, _, after = done.stdout.partition("== extrinsic: ")
    (row,) = [line.split("\t") for line in before.splitlines() if "kind:ngram" in line]
    measured = dict(line.split("\t")[:2] for line in after.splitlines() if "eval:classify" in line)
    assert 50 < float(row[2]) < 500
    assert 0.8 < float(measured["accuracy"]) < 1


@pytest.mark.slow
def test_three_stages_are_measured(work, lmkit):
    """Row G10: each stage names its parent; as small as this it learns nothing, but DPO raises the margin."""
    done = made("three-stages", work, "ANIMALS=6", "STEPS=20", "EPOCHS=1")
    folder = work / "out" / "0"
    found = {(row["stage"], row["measure"]): row for row in rows(folder / "table.tsv")}
    stages, measures = ("base", "sft", "dpo"), ("seen", "unseen", "sentences", "preferred")
    assert set(found) == {(stage, measure) for stage in stages for measure in measures} | {
        ("base", "facts completed"), ("dpo", "margin"),
    }  # fmt: skip
    assert float(found["dpo", "margin"]["low"]) > 0
    for parent, child in (("base", "sft"), ("sft", "dpo")):
        origin = lmkit("info", "--json", folder / f"{child}.lm").records[0]["origin"]
        assert origin["parent"] == registry.load((folder / f"{parent}.lm").read_bytes(), parent).digest
    assert ET.parse(folder / "figure.svg").getroot().tag.endswith("svg")
    assert "sft is of" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_tuning_helps_on_unseen_instructions_and_alignment_raises_the_margin(work, seed):
    """Row H13, at the example's own size, some minutes on two cores for each seed: beyond the intervals."""
    made("three-stages", work, f"SEEDS={seed}")
    found = {(row["stage"], row["measure"]): row for row in rows(work / "out" / seed / "table.tsv")}
    before = found["base", "unseen"]
    assert float(found["sft", "unseen"]["low"]) > float(before["high"] or before["value"])
    assert float(found["dpo", "margin"]["low"]) > 0
    assert float(found["dpo", "preferred"]["value"]) >= float(found["sft", "preferred"]["value"])


@pytest.mark.slow
def test_verdicts_of_emergence_are_those_of_the_intervals(work):
    """Row H15."""
    made("emergence", work, "WIDTHS=16 24", "STEPS=5", "ITEMS=6")
    found = rows(work / "out" / "table.tsv")
    assert [(row["model"], row["method"]) for row in found] == [
        (f"width {width}", method) for width in (16, 24) for method in ("icl", "cot")
    ]
    for row in found:
        assert (row["verdict"] == "above chance") == (row["low"] != "" and float(row["low"]) > 0.5)


@pytest.mark.slow
def test_a_pretrained_encoder_is_beside_a_random_one(work):
    """Row G11."""
    made("pretraining-helps", work, "SEEDS=0", "STEPS=5", "EPOCHS=1", "ITEMS=30")
    found = {row["measure"]: row for row in rows(work / "out" / "table.tsv")}
    assert list(found) == [
        "pretrained loss", "pretrained accuracy", "random loss", "random accuracy", "difference", "lower loss",
    ]  # fmt: skip
    low = found["difference"]["low"]
    assert (found["difference"]["verdict"] == "pre-training helps") == (low != "" and float(low) > 0)


@pytest.mark.slow
def test_a_language_model_describes_digits(work):
    """Row N1, as short as it shows anything: pictures in the wrong order are described wrongly."""
    pytest.importorskip("sklearn")
    done = made("captions", work, "STEPS=small")
    assert "visual tokens of shape (4, 64)" in done.stderr
    trained, untrained, shifted = rows(work / "out" / "table.tsv")
    assert float(trained["captions right"]) > float(shifted["captions right"]) + 0.2
    assert untrained["vision transformer"] == "untrained"
    assert b"trained-em" in (work / "out" / "captions.html").read_bytes()


@pytest.mark.slow
def test_a_metric_for_each_set_of_layers(work):
    """Row H4."""
    made("layers", work, "SETS=head layers=1-2", "STEPS=5", "EPOCHS=1", "ITEMS=30")
    found = {row["trained"]: row for row in rows(work / "out" / "table.tsv")}
    assert list(found) == ["bag", "head", "layers-1-2"]
    assert found["head"]["parameters"] == str(2 * 96 + 2)
    assert all(float(row["low"]) <= float(row["accuracy"]) <= float(row["high"]) for row in found.values())
    assert (work / "out" / "figure.svg").read_text().startswith("<svg")


UNITS = (
    "window-effect", "bottleneck", "ablations", "layers", "pretraining-helps", "t0", "three-stages", "in-context",
    "steps", "scaling", "emergence",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_units_without_an_exercise_have_a_page(unit, work):
    made(unit, work, "STEPS=small")
    page = (work / "out" / "page.html").read_text()
    for inside in ('lang="es"', 'lang="en"', "<table>", "<svg", f"make -f examples/{unit}.mk"):
        assert inside in page
    assert "@RESULTS@" not in page
    assert "nan" not in (work / "out" / "table.tsv").read_text()


def test_every_unit_has_texts_and_is_in_the_index():
    units = {path.name.split(".")[0] for path in (ROOT / "examples" / "texts").iterdir()}
    listed = (ROOT / "examples" / "all.mk").read_text().replace("\\\n", " ")
    (line,) = [line for line in listed.splitlines() if line.startswith("UNITS")]
    assert set(line.split()[2:]) == units
    for unit in units:
        for language in ("es", "en"):
            assert f"examples/{unit}.mk" in (ROOT / "examples" / "texts" / f"{unit}.{language}.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "variable", "right"),
    [
        ("entropy", "ORDER", None),
        ("tokens", "SIZE", None),
        ("decoding", "METHOD", None),
        ("neural", "DISTANCE", "gradients"),
        ("attention", "LAB", "lab.py"),
    ],
)
def test_units_of_the_course_have_a_page_and_a_graded_exercise(unit, variable, right, work):
    made(unit, work, "STEPS=small")
    page = (work / "out" / "page.html").read_text()
    for inside in ('lang="es"', 'lang="en"', "<table>", "<svg", f"make -f examples/{unit}.mk check"):
        assert inside in page
    assert "http" not in page.replace("http://www.w3.org/", "")
    assert "@RESULTS@" not in page
    if right == "gradients":
        answers = {row["tokens back"] for row in rows(work / "out" / "gradients.tsv")}
        assert sum(checks(unit, work, f"{variable}={answer}") for answer in answers) <= 1
        return
    if right is not None:
        (work / right).write_text(
            "import math\n\ndef attention(q, k, v):\n    made = []\n    for one in q:\n"
            "        scores = [sum(a * b for a, b in zip(one, key)) / math.sqrt(len(key)) for key in k]\n"
            "        parts = [math.exp(score - max(scores)) for score in scores]\n"
            "        made.append([sum(p * row for p, row in zip(parts, column)) / sum(parts) for column in zip(*v)])\n"
            "    return made\n"
        )
        made(unit, work, "check", f"{variable}={work / right}")
        return
    answers = [row[next(iter(row))] for row in rows(work / "out" / "table.tsv")]
    assert sum(checks(unit, work, f"{variable}={answer}") for answer in answers) <= 1
    assert not checks(unit, work, f"{variable}=none")


def checks(unit, work, variable):
    """Whether an answer to a unit's exercise is right."""
    own = [f"LMKIT={sys.executable} -m lmkit", f"PYTHON={sys.executable}", f"OUT={work}/out", variable]
    found = subprocess.run(
        ["make", "-f", ROOT / "examples" / f"{unit}.mk", "check", *own], capture_output=True, check=False
    )
    return found.returncode == 0


def test_pages_of_units_escape_what_they_show(work):
    (work / "table.tsv").write_text("<b>\tn\n<script>alert(1)</script>\t2\n")
    command = [sys.executable, ROOT / "examples" / "unit-page.py", "attention", "-o", "page.html"]
    subprocess.run([*command, "--table", "table.tsv", "--command", "a < b"], cwd=work, check=True)
    page = (work / "page.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
