"""Templates of slots, the named formats, and Jinja2 in its sandbox."""

import re
import sys
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit import isolation
from lmkit.errors import DataError
from lmkit.io import limited_process
from lmkit.prompting import jinja_sandbox, named_templates, slot_templates
from lmkit.prompting.jinja_sandbox import Template, TemplateError

COURSE = "[X]. En general la pelicula me parecio [Z]."
TEXTS = st.text(alphabet="[XZ]: a\t\né:", max_size=12)


def filled(template, **fields):
    return slot_templates.parse(template).fill(lambda name: slot_templates.text_in(fields, name))


# Slots.


def test_the_two_slots_of_the_course():
    found = filled(COURSE, input="Amé esa pelicula")
    assert found == ("Amé esa pelicula. En general la pelicula me parecio [Z].", "", 52)
    assert found.fields() == {"prompt": "Amé esa pelicula. En general la pelicula me parecio [Z]."}


@given(TEXTS, TEXTS, TEXTS)
def test_the_slot_of_the_template_is_found_whatever_the_data_say(one, other, after):
    found = filled("[X:a]|[Z]|[X:b][X:c]", a=one, b=other, c=after)
    assert found.text == f"{one}|[Z]|{other}{after}"
    assert found.slot == len(one) + 1
    said = found.fields()
    assert said.get("slot", found.text.find("[Z]")) == found.slot
    assert "joint" not in said


@given(TEXTS)
def test_without_a_slot_the_answer_goes_to_the_end_and_spaces_before_it_are_the_joint(text):
    found = filled("[X] \t", input=text)
    assert found.text + found.joint == text + " \t"
    assert found.text == found.text.rstrip(" \t")
    assert found.slot is None
    assert found.fields().get("slot", 0) == (None if "[Z]" in text else 0)


def test_what_goes_wrong_with_slots():
    with pytest.raises(DataError, match="twice"):
        slot_templates.parse("[Z] [X] [Z]")
    with pytest.raises(DataError, match="no field 'b'"):
        filled("[X:b]", a="x")
    with pytest.raises(DataError, match="no field 'input' or 'text' or 'question'"):
        filled("[X]", a="x")
    for value in (None, True, ["x"], {}):
        with pytest.raises(DataError, match="'input' is not a text"):
            filled("[X]", input=value)
    assert filled("[X] [X:n] [x] [X:] []", text="t", n=1.5).text == "t 1.5 [x] [X:] []"


# Named formats.


def rendered(name, **fields):
    return named_templates.render(named_templates.FORMATS[name], fields)


def test_each_format_to_the_byte():
    t0 = rendered("t0-mcq", question="¿Qué?", context="Nada.", choices=["uno", "dos", 3, "cuatro"])
    assert t0.text == (
        "Read the context and answer the question by selecting one of the provided choices\nQuestion: ¿Qué?\n"
        "Context: Nada.\nChoices: (A) uno (B) dos (C) 3 (D) cuatro\nAnswer:"
    )
    assert t0.joint == " "
    pair = {"a": "El home está en el umbral", "b": "La persona está cerca de la puerta"}
    assert rendered("gpt1", **pair).text == (
        "[START] El home está en el umbral [DELIM] La persona está cerca de la puerta [EXTRACT]"
    )
    assert rendered("gpt1", input="La comida estuvo deliciosa").text == "[START] La comida estuvo deliciosa [EXTRACT]"
    assert rendered("bert", premise="x y", hypothesis="z").text == "[CLS] x y [SEP] z [SEP]"
    assert rendered("bert", text="x", b="").text == "[CLS] x [SEP]"
    assert rendered("t5", task="summarize", text="long ").fields() == {"prompt": "summarize: long", "joint": " "}


def test_an_instruction_without_an_input_has_no_empty_block():
    bare = rendered("instruct", instruction="Di algo.")
    assert bare == rendered("instruct", instruction="Di algo.", input="")
    assert bare.text == (
        "Below is an instruction. Write a response that does what is asked.\n\n"
        "### Instruction:\nDi algo.\n\n### Response:\n"
    )
    assert rendered("instruct", instruction="Di algo.", input="ya").text == (
        "Below is an instruction, and an input that it is about. Write a response that does what is asked.\n\n"
        "### Instruction:\nDi algo.\n\n### Input:\nya\n\n### Response:\n"
    )


def test_similar_texts_come_in_both_orders():
    orders = named_templates.both_orders({"sentence1": "x", "sentence2": "y", "k": 1})
    form = named_templates.FORMATS["gpt1"]
    assert [(order, named_templates.render(form, fields).text) for order, fields in orders] == [
        ("ab", "[START] x [DELIM] y [EXTRACT]"), ("ba", "[START] y [DELIM] x [EXTRACT]"),
    ]  # fmt: skip
    with pytest.raises(DataError, match="two texts"):
        named_templates.both_orders({"a": "x"})


def test_letters_go_on_after_z():
    found = list(islice(named_templates.letters(), 26 * 27 + 1))
    assert found[:2] + found[25:29] + found[-2:] == ["A", "B", "Z", "AA", "AB", "AC", "ZZ", "AAA"]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("choices", "said", "text", "letter"),
    [
        (["x", "y"], {"answer": "y"}, "y", "B"),
        (["x", "y"], {"label": "(B)"}, "y", "B"),
        (["x", "y"], {"label": 0}, "x", "A"),
        (["B", "A"], {"answer": "A"}, "A", "B"),
        (["1", "0"], {"answer": 0}, "1", "A"),
        (["1", "0"], {"answer": "0"}, "0", "B"),
        ([0, 1], {"answer": 1}, "1", "B"),
        (["x", "y"], {}, None, None),
    ],
)
def test_the_right_choice_by_text_letter_or_number(choices, said, text, letter):
    record = {"choices": choices, **said}
    assert named_templates.right_choice(record, "text") == text
    assert named_templates.right_choice(record, "letter") == letter


def test_what_goes_wrong_with_choices():
    for said in ("z", 2, "C", -1):
        with pytest.raises(DataError, match="not one of the choices"):
            named_templates.right_choice({"choices": ["x", "y"], "answer": said}, "text")
    for choices, said in (([1, 0], 0), (["x", "y", "x"], "x")):
        with pytest.raises(DataError, match="could be choice"):
            named_templates.right_choice({"choices": choices, "answer": said}, "letter")
    with pytest.raises(DataError, match="the same"):
        named_templates.candidates({"choices": ["x", "x"]}, "text")
    assert named_templates.candidates({"choices": ["x", "x"]}, "letter") == ["A", "B"]
    for choices in ("xy", None, ["x"], {"x": 1}):
        with pytest.raises(DataError, match="not a list"):
            rendered("t0-mcq", question="", context="", choices=choices)


# Jinja2.


def test_jinja_sees_the_data_alone_and_escapes_nothing():
    assert Template("{{ a }}|{{ b.c[0] }}\n").render({"a": "<&>", "b": {"c": [1]}}) == "<&>|1\n"
    assert Template("{% for x in a %}{{ loop.index }}{{ x ~ 1 ~ x }} {% endfor %}").render({"a": "ab"}) == "1a1a 2b1b "
    assert (
        Template("{{ a | tojson }} {{ '%s-%03d' % ('x', 7) }} {{ '{}'.format(a | length) }}").render({"a": {"é": "<"}})
        == '{"é": "<"} x-007 1'
    )


HOSTILE = {
    "{{ x.__class__ }}": "unsafe",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}": "unsafe",
    "{{ x | attr('__class__') }}": "unsafe",
    "{{ '{0.__class__}'.format(x) }}": "unsafe",
    "{{ self._TemplateReference__context }}": "unsafe",
    "{{ range.__globals__ }}": "unsafe",
    "{{ cycler.__init__.__globals__ }}": "unsafe",
    "{{ items.append(1) }}": "unsafe",
    "{{ items.clear() }}": "unsafe",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}": "not allowed",
    "{{ namespace(__class__=1) }}": "begin with a letter",
    "{% include 'x' %}": "must not use",
    "{% import 'x' as y %}": "must not use",
    "{% from 'x' import y %}": "must not use",
    "{% extends 'x' %}": "must not use",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "nested too deeply",
    "{{ range(10 ** 9) }}": "Range too big",
    "{{ x * 999999 }}": "more than 1048576 characters",
    "{% for a in range(99999) %}{{ x * 999 }}{% endfor %}": "more than 1048576 characters",
    "{{ y }}": "'y' is undefined",
    "{{ x.y }}": "no attribute",
    "{{ x | random }}": "No filter",
    "{{ lipsum() }}": "undefined",
    "{{ 1 / 0 }}": "division",
    "{% if %}": "Expected an expression",
    "{{ x": "unexpected end",
    "{% for x in y %}": "endfor",
    "{{ " + "(" * 9999: "nested too deeply",
    "{% for a in x %}" * 30 + "{% endfor %}" * 30: "nested",
}


@pytest.mark.parametrize("source", HOSTILE, ids=lambda source: source[:40])
def test_hostile_templates_are_refused_in_one_line(source):
    with pytest.raises(TemplateError, match=re.escape(HOSTILE[source])) as told:
        Template(source).render({"x": "abc", "items": ["a"]})
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 300


PAIRS = (
    "{% set a=namespace(s=1) %}{% set b=namespace(s=1) %}"
    "{% for i in range(40) %}{% set a.s=(a.s,a.s) %}{% set b.s=(b.s,b.s) %}{% endfor %}"
)
DOUBLED = "{% set ns = namespace(a='xx') %}{% for i in range(99) %}{% set ns.a = STEP %}{% endfor %}{{ ns.a }}"
ENDLESS = [
    PAIRS + "{{ a.s == b.s }}",
    PAIRS + "{% if a.s in {1: 2} %}{% endif %}",
    "{% set l = range(100000) | list %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}",
    "{% for i in range(100000) %}{% if range(100000) | sum %}{% endif %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{{ (10 ** (10 ** 9)) % 7 }}",
]
LARGE = [
    "{{ 'x' * 10 ** 10 }}", "{{ [0] * 10 ** 10 }}", "{{ x | center(10 ** 10) }}", "{{ '%1000000000d' % 1 }}",
    "{{ '{:{}}'.format(x, 10 ** 10) }}", "{{ items | batch(10 ** 10, x) | list }}",
    *(DOUBLED.replace("STEP", one) for one in ("ns.a ~ ns.a", "ns.a | replace('x', ns.a)", "ns.a.join([ns.a, ns.a])")),
]  # fmt: skip


def ended(source, monkeypatch):
    """How a template ends that has half a second and 64 MB."""
    monkeypatch.setattr(limited_process, "LIMITS", limited_process.Limits(0.5, 64 << 20))
    started = limited_process.Workers()
    with started, isolation.started_by(started.start), pytest.raises(isolation.LimitError) as ended:
        jinja_sandbox.LimitedTemplate(source, name="t.j2").render({"x": "abc", "items": ["a"]})
    return str(ended.value).removeprefix("t.j2: ")


@pytest.mark.parametrize(
    "source", [ENDLESS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in ENDLESS[1:])], ids=str
)
def test_time_is_limited(source, monkeypatch):
    assert ended(source, monkeypatch) == "not done within 0.5 s, the limit"


@pytest.mark.parametrize(
    "source", [LARGE[0], *(pytest.param(one, marks=pytest.mark.slow) for one in LARGE[1:])], ids=str
)
@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the limit is RLIMIT_DATA, which counts mapped memory on Linux only"
)
def test_memory_is_limited(source, monkeypatch):
    assert ended(source, monkeypatch) == "more than 64 MB of memory, the limit"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_values_reach_a_template_as_they_are(value):
    assert jinja_sandbox.LimitedTemplate("{{ x }}", name="t").render({"x": value}) == Template("{{ x }}").render(
        {"x": value}
    )


def test_errors_name_the_line_of_the_template():
    with pytest.raises(TemplateError, match=r"^line 3: 'y' is undefined$"):
        Template("a\n\n{{ y }}\n").render({})
    with pytest.raises(TemplateError, match=r"^line 2: "):
        Template("a\n{% bad %}")
    assert Template("{{ x }}").render({"x": "y" * jinja_sandbox.LIMIT}) == "y" * jinja_sandbox.LIMIT


def located(source, **fields):
    render = Template(source).render
    (filled,) = slot_templates.located_each(lambda records: map(render, records), [fields])
    return filled


def test_a_slot_in_jinja_is_the_template_s_own():
    assert located("{{ x }} [Z].", x="a") == ("a [Z].", "", 2)
    assert located("{{ x }} [Z].", x="[Z] [Z]").slot == 8
    assert located("{{ x }}: ", x="[Z]") == ("[Z]:", " ", None)
    assert located("{{ x }}Z]", x="[").slot is None
    assert located("{{ x.y[0] }} [Z]", x={"y": ["[Z]"]}).slot == 4
    with pytest.raises(DataError, match="2 times"):
        located("[Z] [Z] {{ x }}", x="")
    with pytest.raises(DataError, match="is ambiguous"):
        located("{% if '[' in x %}a{% endif %}[Z]", x="[")
