"""The invented world: creatures and towns with their facts, drawn from one seed."""

import random
from dataclasses import dataclass

from scripts.make_starter import word_lists as words

NUM_CREATURES = 128
NUM_HELD_OUT_CREATURES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Creature:
    """Somebody of the invented world, with everything that is known of them."""

    name: str
    is_she: bool
    kind: str
    town: str
    work: str
    garment: str
    colour: str
    friend: str
    treasure: str
    food: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A place of the invented world."""

    name: str
    sight: str
    market_day: str
    river: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`held_out` are creatures that the prose speaks of as often as of others, and no tuning row asks about."""

    creatures: tuple[Creature, ...]
    held_out: tuple[Creature, ...]
    towns: tuple[Town, ...]

    @property
    def everybody(self) -> tuple[Creature, ...]:
        return self.creatures + self.held_out


def make_world(seed: int) -> World:
    chance = random.Random(seed)
    creatures = _creatures(chance)
    return World(
        creatures=creatures[NUM_HELD_OUT_CREATURES:],
        held_out=creatures[:NUM_HELD_OUT_CREATURES],
        towns=_towns(chance),
    )


def _creatures(chance: random.Random) -> tuple[Creature, ...]:
    names = [(start + end, False) for start in words.NAME_STARTS for end in words.HIS_NAME_ENDS]
    names += [(start + end, True) for start in words.NAME_STARTS for end in words.HER_NAME_ENDS]
    chosen = chance.sample(names, NUM_CREATURES)
    # A friend is the next on a circle: everybody has exactly one, and nobody is their own.
    friends = [name for name, _ in chosen[1:] + chosen[:1]]
    creatures = [
        Creature(
            name=name,
            is_she=is_she,
            kind=chance.choice(words.KINDS),
            town=chance.choice(words.TOWNS),
            work=chance.choice(words.WORKS),
            garment=chance.choice(words.GARMENTS),
            colour=chance.choice(words.COLOURS),
            friend=friend,
            treasure=chance.choice(words.TREASURES),
            food=chance.choice(words.FOODS),
        )
        for (name, is_she), friend in zip(chosen, friends, strict=True)
    ]
    chance.shuffle(creatures)
    return tuple(creatures)


def _towns(chance: random.Random) -> tuple[Town, ...]:
    sights = chance.sample(words.SIGHTS, len(words.TOWNS))
    return tuple(
        Town(name=name, sight=sight, market_day=chance.choice(words.DAYS), river=chance.choice(words.RIVERS))
        for name, sight in zip(words.TOWNS, sights, strict=True)
    )
