"""Prompts to the byte: those of the course's slides and of the papers that they are from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.prompting.chain_of_thought import ReasoningLayout, told_apart
from lmkit.prompting.examples import Example
from lmkit.prompting.layout import Layout

FRENCH = [
    Example("sea otter", "loutre de mer"), Example("peppermint", "menthe poivrée"),
    Example("plush girafe", "girafe peluche"),
]  # fmt: skip
ROGER = Example(
    "Roger has 5 tennis balls. He buys 2 more cans of tennis balls. Each can has 3 tennis balls. "
    "How many tennis balls does he have now?",
    "11",
    reasoning="Roger started with 5 balls. 2 cans of 3 tennis balls each is 6 tennis balls. 5 + 6 = 11.",
)
CAFETERIA = Example(
    "The cafeteria had 23 apples. If they used 20 to make lunch and bought 6 more, how many apples do they have?", "9"
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "Translate English to French:\ncheese =>"),
        (1, "Translate English to French:\nsea otter => loutre de mer\ncheese =>"),
        (
            3,
            "Translate English to French:\nsea otter => loutre de mer\npeppermint => menthe poivrée\n"
            "plush girafe => girafe peluche\ncheese =>",
        ),
    ],
)
def test_translation_by_examples(count, text):
    layout = Layout("Translate English to French:")
    assert layout.lay(FRENCH[:count], Example("cheese", "fromage")) == (text, " ")


def test_a_line_end_stays_in_the_prompt():
    shots = [
        Example("Circulation revenue has increased by 5% in Finland.", "Neutral"),
        Example("Panostaja did not disclose the purchase price.", "Negative"),
        Example("Paying off the national debt will be extremely painful.", "Positive"),
    ]
    item = Example("The company anticipated its operating profit to improve.")
    assert Layout(sep="\n").lay(shots, item) == (
        "Circulation revenue has increased by 5% in Finland.\nNeutral\n"
        "Panostaja did not disclose the purchase price.\nNegative\n"
        "Paying off the national debt will be extremely painful.\nPositive\n"
        "The company anticipated its operating profit to improve.\n",
        "",
    )


TEXTS = st.text(st.sampled_from("a \t\n=Á"), max_size=6)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4), TEXTS, TEXTS, TEXTS, TEXTS)
def test_nothing_is_lost_and_no_prompt_ends_in_a_space(pairs, text, instruction, sep, example_sep):
    shots = [Example(*pair) for pair in pairs]
    laid = Layout(instruction, sep, example_sep).lay(shots, Example(text))
    assert not laid.text.endswith((" ", "\t"))
    assert set(laid.joint) <= set(" \t")
    head = f"{instruction}\n" if instruction else ""
    shown = "".join(f"{one}{sep}{other}{example_sep}" for one, other in pairs)
    assert laid.text + laid.joint == f"{head}{shown}{text}{sep}"


def test_chains_of_thought():
    assert ReasoningLayout().lay([ROGER], CAFETERIA) == (
        "Q: Roger has 5 tennis balls. He buys 2 more cans of tennis balls. Each can has 3 tennis balls. How many "
        "tennis balls does he have now?\nA: Roger started with 5 balls. 2 cans of 3 tennis balls each is 6 tennis "
        "balls. 5 + 6 = 11. The answer is 11.\n\nQ: The cafeteria had 23 apples. If they used 20 to make lunch and "
        "bought 6 more, how many apples do they have?\nA:",
        " ",
    )


def test_standard_prompting_of_the_same_examples():
    assert ReasoningLayout(reasoning=False).lay([ROGER], CAFETERIA) == (
        "Q: Roger has 5 tennis balls. He buys 2 more cans of tennis balls. Each can has 3 tennis balls. How many "
        "tennis balls does he have now?\nA: The answer is 11.\n\nQ: The cafeteria had 23 apples. If they used 20 to "
        "make lunch and bought 6 more, how many apples do they have?\nA:",
        " ",
    )


def test_reasoning_is_asked_for_where_none_is_shown():
    assert ReasoningLayout().lay([], Example("2 + 2?")) == ("Q: 2 + 2?\nA: Let's think step by step.", "")
    assert ReasoningLayout(reasoning=False).lay([], Example("2 + 2?")) == ("Q: 2 + 2?\nA:", " ")


def test_all_texts_of_a_chain_can_be_others():
    layout = ReasoningLayout(
        instruction="Piensa.", question="P: ", answer="\nR: ", conclusion="Son {}, sí: {}.", example_sep="\n--\n"
    )
    shot = Example("2 y 2", "4", reasoning="Dos pares.")
    assert layout.lay([shot], Example("3 y 3")).text == (
        "Piensa.\nP: 2 y 2\nR: Dos pares. Son 4, sí: 4.\n--\nP: 3 y 3\nR:"
    )


GSM = "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nIn all <<48+24=72>>72 clips.\n#### 72"


def test_answers_of_gsm8k_are_told_apart():
    told = told_apart(Example("How many?", GSM))
    assert (told.output, told.reasoning) == ("72", "Natalia sold 48/2 = 24 clips in May.\nIn all 72 clips.")
    kept = told_apart(Example("How many?", GSM), keep_marks=True)
    assert (kept.output, kept.reasoning) == ("72", GSM.removesuffix("\n#### 72"))


def test_reasoning_of_a_record_is_taken_as_it_is():
    told = told_apart(Example("How many?", "#### 3", record={"reasoning": "One, two, three."}))
    assert (told.output, told.reasoning) == ("#### 3", "One, two, three.")
    none = told_apart(Example("How many?", "3", record={"reasoning": 7}))
    assert (none.output, none.reasoning) == ("3", None)
