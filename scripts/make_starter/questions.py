"""The instruction set: short questions about the world and their answers, and the rows that are held out.

Held-out rows ask about creatures, towns and words that no tuning row asks about; the prose alone tells the answers.
"""

import json
import random
from dataclasses import dataclass

from scripts.make_starter import word_lists as words
from scripts.make_starter.sentences import Topic, creature_words, opposite_words, town_words, young_words
from scripts.make_starter.world import Creature, Town, World

HELD_OUT_TOWNS = 3
HELD_OUT_OPPOSITES = 6
HELD_OUT_YOUNG = 3
HELD_OUT_QUESTIONS_EACH = 4

Asked = tuple[tuple[str, ...], str, str]
"""Wordings of a question, its answer, and the placeholder that holds the fact."""
ASKED: dict[Topic, Asked] = {
    Topic.KIND: (
        ("What kind of animal is {name}?", "What is {name}?", "Tell me what sort of animal {name} is."),
        "{A_kind}.",
        "kind",
    ),
    Topic.HOME: (
        ("Where does {name} live?", "Where is {whose} house?", "In which town can I find {name}?"),
        "In {town}.",
        "town",
    ),
    Topic.WORK: (
        ("What does {name} do all day?", "What is {whose} work?", "Which work does {name} do?"),
        "The work of {a_work}.",
        "work",
    ),
    Topic.CLOTHES: (
        ("What colour is {whose} {garment}?", "Which colour has {whose} {garment}?"),
        "It is {colour}.",
        "colour",
    ),
    Topic.FRIEND: (
        ("Who is {whose} best friend?", "Whom does {name} trust most?"),
        "That would be {friend}.",
        "friend",
    ),
    Topic.TREASURE: (
        ("What is {whose} treasure?", "What does {name} keep under the bed?", "What would {name} never sell?"),
        "The {treasure}.",
        "treasure",
    ),
    Topic.FOOD: (
        ("What does {name} like best?", "What is {whose} favourite food?", "What shall I cook for {name}?"),
        "Nothing beats {food}.",
        "food",
    ),
}
ASKED_OF_TOWNS: tuple[Asked, ...] = (
    (("What is {town} famous for?", "What draws people to {town}?"), "Its {sight}.", "sight"),
    (("When is market day in {town}?", "On which day is there market in {town}?"), "On {day}.", "day"),
    (("Which river flows past {town}?", "On which river does {town} lie?"), "The {river}.", "river"),
)
ASKED_OF_OPPOSITES: Asked = (
    ("What is the opposite of {one}?", "Tell me the opposite of {one}."),
    "It is {other}.",
    "other",
)
ASKED_OF_YOUNG: Asked = (
    ("What is a young {animal} called?", "What do you call a young {animal}?"),
    "We call it {a_young}.",
    "young",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One question and the only answer that counts as right: `value`, as it is known of `subject`, in a few words."""

    question: str
    answer: str
    subject: str
    value: str

    def to_json(self) -> str:
        turns = [{"role": "user", "content": self.question}, {"role": "assistant", "content": self.answer}]
        return json.dumps({"messages": turns}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class InstructionSet:
    training: tuple[Row, ...]
    held_out: tuple[Row, ...]


def make_instruction_set(world: World, seed: int) -> InstructionSet:
    chance = random.Random(seed)
    training = [row for creature in world.creatures for row in _creature_rows(creature, chance)]
    # Whole portraits would make neighbours of the same creature's rows on screen: each held-out creature gives a few.
    held_out = [
        row
        for creature in world.held_out
        for row in chance.sample(_creature_rows(creature, chance), HELD_OUT_QUESTIONS_EACH)
    ]
    for rows, withheld in (
        ([_town_rows(town, chance) for town in world.towns], HELD_OUT_TOWNS),
        ([_opposite_rows(*pair, chance) for pair in words.OPPOSITES], HELD_OUT_OPPOSITES),
        ([[_young_row(*pair, chance)] for pair in words.YOUNG_ANIMALS], HELD_OUT_YOUNG),
    ):
        chance.shuffle(rows)
        held_out += [row for group in rows[:withheld] for row in group]
        training += [row for group in rows[withheld:] for row in group]
    chance.shuffle(training)
    chance.shuffle(held_out)
    return InstructionSet(tuple(training), tuple(held_out))


def _creature_rows(creature: Creature, chance: random.Random) -> list[Row]:
    filling = creature_words(creature)
    return [_row(creature.name, filling, asked, chance) for asked in ASKED.values()]


def _town_rows(town: Town, chance: random.Random) -> list[Row]:
    filling = town_words(town)
    return [_row(town.name, filling, asked, chance) for asked in ASKED_OF_TOWNS]


def _row(subject: str, filling: dict[str, str], asked: Asked, chance: random.Random) -> Row:
    questions, answer, value = asked
    question = chance.choice(questions).format(**filling)
    return Row(question, answer.format(**filling), subject, filling[value])


def _opposite_rows(one: str, other: str, chance: random.Random) -> list[Row]:
    """Both directions, so that a withheld pair is withheld whole."""
    both = (opposite_words(one, other), opposite_words(other, one))
    return [_row(filling["one"], filling, ASKED_OF_OPPOSITES, chance) for filling in both]


def _young_row(animal: str, young: str, chance: random.Random) -> Row:
    return _row(animal, young_words(animal, young), ASKED_OF_YOUNG, chance)
