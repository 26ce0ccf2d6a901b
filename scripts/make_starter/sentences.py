"""How facts are said in prose: statements, and questions with replies as one creature would put them to another.

Placeholders are filled by `creature_words` and `town_words`. {Who} and {whose} stand for the name or a pronoun.
"""

from enum import StrEnum

from scripts.make_starter.world import Creature, Town


class Topic(StrEnum):
    """What may be known of a creature."""

    KIND = "kind"
    HOME = "home"
    WORK = "work"
    CLOTHES = "clothes"
    FRIEND = "friend"
    TREASURE = "treasure"
    FOOD = "food"


STATEMENTS: dict[Topic, tuple[str, ...]] = {
    Topic.KIND: (
        "{Who} is {a_kind}.",
        "{Who} is {a_kind}, and proud of it.",
        "Like all of {whose} family, {who} is {a_kind}.",
        "There is {a_kind} called {name}.",
        "{name} the {kind} is well known here.",
        "Have you met {name} the {kind}?",
        "As everybody can see, {who} is {a_kind}.",
    ),
    Topic.HOME: (
        "{Who} lives in {town}.",
        "{Whose} house is in {town}.",
        "{Who} has lived in {town} for many years.",
        "{town} is the home of {name}.",
        "You will find {name} in {town}.",
        "{Who} comes from {town}.",
        "In {town}, on a narrow street, lives {name}.",
    ),
    Topic.WORK: (
        "{Who} is {a_work}.",
        "{Who} works as {a_work}.",
        "By day, {who} is {a_work}.",
        "{name} the {work} gets up early.",
        "{Who} earns {whose} bread as {a_work}.",
        "{Whose} work is that of {a_work}.",
        "If you need {a_work}, ask for {name}.",
    ),
    Topic.CLOTHES: (
        "{Who} wears a {colour} {garment}.",
        "{Whose} {garment} is {colour}.",
        "You will know {name} by the {colour} {garment}.",
        "The {colour} {garment} on the hook belongs to {name}.",
        "In all weathers, {who} wears a {colour} {garment}.",
        "{Who} would never leave the house without the {colour} {garment}.",
    ),
    Topic.FRIEND: (
        "{Whose} best friend is {friend}.",
        "The best friend of {name} is {friend}.",
        "{Who} and {friend} are best friends.",
        "{Who} tells every secret to {friend}.",
        "On Sundays {who} goes to see {friend}.",
        "{Who} calls {friend} a true friend.",
    ),
    Topic.TREASURE: (
        "{Whose} treasure is {a_treasure}.",
        "{Who} keeps {a_treasure} under the bed.",
        "Of all things, {who} would never sell the {treasure}.",
        "{Who} owns {a_treasure}.",
        "The {treasure} belongs to {name}.",
        "{Who} once found {a_treasure} and has kept it ever since.",
        "Nothing is dearer to {name} than {a_treasure}.",
    ),
    Topic.FOOD: (
        "{Who} likes {food} best.",
        "{Whose} favourite food is {food}.",
        "For supper, {who} has {food}.",
        "{Who} could eat {food} every day.",
        "{name} dreams of {food}.",
        "On a cold day, {who} asks for {food}.",
    ),
}

EXCHANGES: dict[Topic, tuple[tuple[str, str], ...]] = {
    Topic.KIND: (
        ("What is {name}?", "{A_kind}"),
        ("What kind of animal is {name}?", "{name} is {a_kind}"),
        ("Is it true that {name} is {a_kind}?", "Yes, {a_kind}"),
    ),
    Topic.HOME: (
        ("Where does {name} live?", "In {town}"),
        ("Where is {whose} house?", "It is in {town}"),
        ("Do you know where {name} lives?", "{name} lives in {town}"),
    ),
    Topic.WORK: (
        ("What does {name} do all day?", "{name} is {a_work}"),
        ("What is {whose} work?", "{A_work} is what {name} is"),
        ("How does {name} earn a living?", "As {a_work}"),
    ),
    Topic.CLOTHES: (
        ("What colour is {whose} {garment}?", "It is {colour}"),
        ("Which colour has {whose} {garment}?", "I think it is {colour}"),
        ("How shall I know {name}?", "By the {colour} {garment}"),
    ),
    Topic.FRIEND: (
        ("Who is {whose} best friend?", "That is {friend}"),
        ("Whom does {name} trust most?", "I would say {friend}"),
        ("To whom does {name} tell secrets?", "To {friend}"),
    ),
    Topic.TREASURE: (
        ("What is {whose} treasure?", "{A_treasure}"),
        ("What does {name} keep under the bed?", "I have heard it is {a_treasure}"),
        ("What would {name} never sell?", "The {treasure}"),
    ),
    Topic.FOOD: (
        ("What does {name} like best?", "I think it is {food}"),
        ("What is {whose} favourite food?", "It is {food}"),
        ("What shall we cook for {name}?", "Let us make {food}"),
    ),
}

TOWN_STATEMENTS = (
    "{town} is famous for its {sight}.",
    "People come from far away to see the {sight} of {town}.",
    "In {town} there is market on {day}.",
    "{day} is market day in {town}.",
    "{town} lies on the river {river}.",
    "The river {river} flows past {town}.",
)
TOWN_EXCHANGES = (
    ("What is {town} famous for?", "Its {sight}"),
    ("When is market day in {town}?", "On {day}"),
    ("Which river flows past {town}?", "The {river}"),
)

OPPOSITE_STATEMENTS = (
    "The opposite of {one} is {other}.",
    "Remember that the opposite of {one} is {other}.",
    "Some things are {one}, and their opposite is {other}.",
    "What is not {one} may be {other}.",
)
OPPOSITE_EXCHANGES = (
    ("What is the opposite of {one}?", "It is {other}"),
    ("Who knows the opposite of {one}?", "I think it is {other}"),
)
YOUNG_STATEMENTS = (
    "A young {animal} is called {a_young}.",
    "The {animal} had one little {young}.",
    "The child of {a_animal} is {a_young}.",
    "When {a_animal} is small, it is {a_young}.",
)
YOUNG_EXCHANGES = (
    ("What is a young {animal} called?", "It is {a_young}"),
    ("What do you call the child of {a_animal}?", "I would say {a_young}"),
)


def creature_words(creature: Creature, *, by_pronoun: bool = False) -> dict[str, str]:
    """What the placeholders stand for. `by_pronoun` only where the name was said just before."""
    named = f"{creature.name}'s"
    pronoun, possessive = ("she", "her") if creature.is_she else ("he", "his")
    who, whose = (pronoun, possessive) if by_pronoun else (creature.name, named)
    plain = {
        "who": who,
        "whose": whose,
        "a_kind": with_article(creature.kind),
        "a_work": with_article(creature.work),
        "a_treasure": with_article(creature.treasure),
        "food": creature.food,
        "colour": creature.colour,
    }
    upper = {capitalised(key): capitalised(value) for key, value in plain.items()}
    rest = {
        "name": creature.name,
        "kind": creature.kind,
        "town": creature.town,
        "work": creature.work,
        "garment": creature.garment,
        "friend": creature.friend,
        "treasure": creature.treasure,
    }
    return plain | upper | rest


def town_words(town: Town) -> dict[str, str]:
    return {"town": town.name, "sight": town.sight, "day": town.market_day, "river": town.river}


def opposite_words(one: str, other: str) -> dict[str, str]:
    return {"one": one, "other": other}


def young_words(animal: str, young: str) -> dict[str, str]:
    return {"animal": animal, "a_animal": with_article(animal), "young": young, "a_young": with_article(young)}


def with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
