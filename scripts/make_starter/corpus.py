"""The text that the base model is pretrained on: portraits, conversations, walks through towns and lessons, as prose.

No document holds the form of a chat, so that answering in one is left for fine-tuning to teach.
"""

import random

from scripts.make_starter import word_lists as words
from scripts.make_starter.sentences import (
    EXCHANGES,
    OPPOSITE_EXCHANGES,
    OPPOSITE_STATEMENTS,
    STATEMENTS,
    TOWN_EXCHANGES,
    TOWN_STATEMENTS,
    YOUNG_EXCHANGES,
    YOUNG_STATEMENTS,
    Topic,
    capitalised,
    creature_words,
    opposite_words,
    town_words,
    young_words,
)
from scripts.make_starter.world import Creature, Town, World

PORTRAITS_EACH = 40
CONVERSATIONS = 4500
TOWN_WALKS_EACH = 40
LESSONS = 2000
TOWN_TALK = 0.08
"""Share of the exchanges in a conversation that are about towns."""


def make_documents(world: World, seed: int) -> tuple[str, ...]:
    """All documents in the order in which they are written down; pretraining shuffles them anew each epoch."""
    chance = random.Random(seed)
    documents = [_portrait(creature, chance) for _ in range(PORTRAITS_EACH) for creature in world.everybody]
    documents += [_conversation(world, chance) for _ in range(CONVERSATIONS)]
    documents += [_town_walk(town, world, chance) for _ in range(TOWN_WALKS_EACH) for town in world.towns]
    documents += [_lesson(chance) for _ in range(LESSONS)]
    return tuple(documents)


def _portrait(creature: Creature, chance: random.Random) -> str:
    """One creature, most of its facts, each in one of its wordings."""
    topics = chance.sample(tuple(Topic), chance.randint(4, 7))
    sentences = [_statement(creature, topics[0], chance)]
    sentences += [_statement(creature, topic, chance, by_pronoun=chance.random() < 0.35) for topic in topics[1:]]
    return " ".join(sentences)


def _conversation(world: World, chance: random.Random) -> str:
    """Two creatures meet and ask each other about others."""
    asker, teller = chance.sample(world.everybody, 2)
    place = chance.choice(words.TOWNS)
    sentences = [chance.choice(OPENINGS).format(asker=asker.name, teller=teller.name, place=place)]
    for _ in range(chance.randint(3, 6)):
        question, reply = _exchange(world, chance)
        form = chance.choice(SPEECH)
        sentences.append(form.format(question=question, reply=reply, asker=asker.name, teller=teller.name))
    return " ".join([*sentences, chance.choice(CLOSINGS)])


def _exchange(world: World, chance: random.Random) -> tuple[str, str]:
    """A question and its true reply."""
    if chance.random() < TOWN_TALK:
        filling = town_words(chance.choice(world.towns))
        question, reply = chance.choice(TOWN_EXCHANGES)
    else:
        filling = creature_words(chance.choice(world.everybody))
        question, reply = chance.choice(EXCHANGES[chance.choice(tuple(Topic))])
    return question.format(**filling), reply.format(**filling)


def _town_walk(town: Town, world: World, chance: random.Random) -> str:
    """What a walker sees and hears in one town."""
    at_home = [creature for creature in world.everybody if creature.town == town.name]
    sentences = [text.format(**town_words(town)) for text in chance.sample(TOWN_STATEMENTS, 3)]
    for creature in chance.sample(at_home, min(len(at_home), 3)):
        sentences.append(_statement(creature, Topic.HOME, chance))
        sentences.append(_statement(creature, chance.choice(tuple(Topic)), chance))
    return " ".join(sentences)


def _lesson(chance: random.Random) -> str:
    """Words that somebody might teach at school, told or asked."""
    sentences = []
    for _ in range(chance.randint(4, 7)):
        is_told = chance.random() < 0.6
        if chance.random() < 0.75:
            filling = opposite_words(*chance.sample(chance.choice(words.OPPOSITES), 2))
            statement, exchange = chance.choice(OPPOSITE_STATEMENTS), chance.choice(OPPOSITE_EXCHANGES)
        else:
            filling = young_words(*chance.choice(words.YOUNG_ANIMALS))
            statement, exchange = chance.choice(YOUNG_STATEMENTS), chance.choice(YOUNG_EXCHANGES)
        said = statement if is_told else '"{}" "{}."'.format(*exchange)
        sentences.append(said.format(**filling))
    return " ".join(sentences)


def _statement(creature: Creature, topic: Topic, chance: random.Random, *, by_pronoun: bool = False) -> str:
    filling = creature_words(creature, by_pronoun=by_pronoun)
    return capitalised(chance.choice(STATEMENTS[topic]).format(**filling))


OPENINGS = (
    "One morning {asker} met {teller} in {place}.",
    "It was raining in {place}, so {asker} and {teller} sat down and talked.",
    "{asker} and {teller} shared a bench by the mill of {place}.",
    "On the road to {place}, {asker} caught up with {teller}.",
)
SPEECH = (
    '"{question}" asked {asker}. "{reply}," said {teller}.',
    '{asker} asked: "{question}" And {teller} answered: "{reply}."',
    '"{question}" {asker} wanted to know. {teller} nodded. "{reply}."',
    '"{question}" "{reply}."',
    'Next question: "{question}" Answer: "{reply}."',
    '"{question}" Silence. Then: "{reply}."',
)
CLOSINGS = (
    "Then they said goodbye.",
    "And so the evening passed.",
    "Then it was time for tea.",
    "They laughed and went home.",
)
