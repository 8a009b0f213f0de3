"""A small world as files: facts to pre-train on, instructions about them, pairs of answers. `three-stages.py FOLDER SEED ANIMALS`.

The world has animals, and four things to know of each, drawn by the seed. facts.txt says all of it in statements.
Instructions ask for it in five ways; which of these 20 kinds of instructions are held out is fixed:

train.jsonl    13 kinds, half of the animals: what is tuned on; answers are words or sentences, as it comes
seen.jsonl     the same kinds, the other animals
unseen.jsonl   the 7 kinds held out, the other animals
pairs.jsonl    what is tuned on, with a sentence as the chosen answer and the short one as the rejected
held-out.jsonl the same of unseen.jsonl
facts.jsonl    statements to complete about the other animals: whether the facts were learned at all
words.txt      facts and what is tuned on, once: the text of the tokenizer
"""

import json
import random
import sys
from pathlib import Path

ANIMALS = (
    "ant bat bear bee boar cat cod cow crab crow deer dog dove duck eel elk fly fox frog gnat goat goose hare hawk hen "
    "horse kite lamb lion lynx mole moth mouse mule newt owl ox pig puma ram rat seal shark sheep slug snake swan toad"
).split()
KNOWN = {
    "colour": "red blue green black white brown grey pink",
    "home": "cave nest pond barn hole tree field reef",
    "food": "grass seeds fish worms fruit bread nuts leaves",
    "friend": "Ana Luis Eva Juan Rosa Pablo Ines Hugo",
}
STATEMENTS = [
    "The {what} of the {who} is {value}.", "{value} is the {what} of the {who}.", "The {who} has the {what} {value}.",
    "About the {who}: its {what} is {value}.",
]  # fmt: skip
ASKED = [
    "What is the {what} of the {who}?", "Tell me the {what} of the {who}.", "Which {what} does the {who} have?",
    "The {who}: what is its {what}?", "Please name the {what} that the {who} has.",
]  # fmt: skip


def main(folder, seed, number):
    """Writes the files."""
    chance = random.Random(seed)
    animals = ANIMALS[:number]
    world = {(who, what): chance.choice(values.split()) for who in animals for what, values in KNOWN.items()}
    tuned = set(chance.sample(animals, number // 2))
    facts = [
        text.format(who=who, what=what, value=value) for (who, what), value in world.items() for text in STATEMENTS
    ]
    write(folder / "facts.txt", [line for _ in range(10) for line in chance.sample(facts, len(facts))])
    asked = [
        {"kind": (list(KNOWN).index(what) + way) % 3 == 0, "who": who, "what": what, "value": value, "way": way}
        for (who, what), value in world.items() for way in range(len(ASKED))
    ]  # fmt: skip
    chance.shuffle(asked)
    train = [one for one in asked if one["who"] in tuned and not one["kind"]]
    others = [one for one in asked if one["who"] not in tuned]
    unseen = [one for one in others if one["kind"]]
    write(folder / "words.txt", [*facts, *(text for one in train for text in (prompt(one)["prompt"], *answers(one)))])
    write(folder / "train.jsonl", [json.dumps({**prompt(one), "output": chance.choice(answers(one))}) for one in train])
    write(folder / "seen.jsonl", [question(number, one) for number, one in enumerate(others) if not one["kind"]])
    write(folder / "unseen.jsonl", [question(number, one) for number, one in enumerate(unseen)])
    write(folder / "pairs.jsonl", map(pair, train))
    write(folder / "held-out.jsonl", map(pair, unseen))
    complete = [one for one in others if one["way"] == 0]
    write(folder / "facts.jsonl", [json.dumps({
        "prompt": STATEMENTS[0].format(**{**one, "value": ""}).rstrip(" ."), "gold": one["value"]}) for one in complete])  # fmt: skip


def prompt(one):
    """An instruction."""
    return {"prompt": ASKED[one["way"]].format(**one)}


def answers(one):
    """The answer that is preferred, and the other."""
    return [f"Its {one['what']} is {one['value']}.", one["value"]]


def question(number, one):
    """A record to be answered; what is preferred is an instruction that a program can check."""
    checked = {"instruction_id_list": ["startend:start_checker"], "kwargs": [{"start_phrase": "Its"}]}
    return json.dumps({"id": number, **prompt(one), "gold": one["value"], **checked})


def pair(one):
    """A record of preferences."""
    chosen, rejected = answers(one)
    return json.dumps({**prompt(one), "chosen": chosen, "rejected": rejected})


def write(path, lines):
    """Writes lines."""
    path.write_text("".join(f"{line}\n" for line in lines))


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
