"""Everything of the starter that is made without training a network: quick, and the same on every machine."""

from dataclasses import dataclass

from tokenizers import Tokenizer

from scripts.make_starter.corpus import make_documents
from scripts.make_starter.questions import InstructionSet, make_instruction_set
from scripts.make_starter.tokenizer import train_tokenizer
from scripts.make_starter.world import World, make_world

WORLD_SEED = 1
CORPUS_SEED = 2
INSTRUCTIONS_SEED = 209


@dataclass(frozen=True, slots=True, kw_only=True)
class TextParts:
    world: World
    documents: tuple[str, ...]
    tokenizer: Tokenizer
    instructions: InstructionSet


def make_text_parts() -> TextParts:
    world = make_world(WORLD_SEED)
    documents = make_documents(world, CORPUS_SEED)
    return TextParts(
        world=world,
        documents=documents,
        tokenizer=train_tokenizer(documents),
        instructions=make_instruction_set(world, INSTRUCTIONS_SEED),
    )
