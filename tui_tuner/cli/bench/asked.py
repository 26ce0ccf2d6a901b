"""From the options of `tuner bench` to a request that can be carried out. Wrong ones are named all at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from tui_tuner.engine.bench.peers.cases import chosen_cases
from tui_tuner.engine.bench.peers.children import missing_python
from tui_tuner.engine.bench.peers.request import PEERS, ComparisonRequest
from tui_tuner.engine.bench.request import BenchRequest
from tui_tuner.engine.bench.shape_names import ShapeName
from tui_tuner.errors import Problem, RecipeError

SOURCE = "the command"
DEFAULT_CASES = ("1b",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options as they were given."""

    recipe: Path | None
    shape: str | None
    overrides: tuple[str, ...]
    steps: int
    warm_up: int
    out: Path | None
    cases: tuple[str, ...]
    peers: tuple[str, ...]
    pythons: tuple[str, ...]
    model: Path | None
    lengths: Path | None
    is_exact: bool
    rounds: int


def own_request(asked: Asked) -> BenchRequest:
    """Raises RecipeError naming each option that is wrong."""
    only_peers = {
        "--case": asked.cases, "--peer": asked.peers, "--peer-python": asked.pythons, "--model": asked.model,
        "--lengths": asked.lengths, "--exact": asked.is_exact, "--rounds": asked.rounds > 1,
    }  # fmt: skip
    problems = [Problem(path=name, message="needs --peers beside it") for name, value in only_peers.items() if value]
    shape = next((one for one in get_args(ShapeName) if one == asked.shape), None)
    if asked.shape is not None and shape is None:
        allowed = ", ".join(get_args(ShapeName))
        problems.append(Problem(path="--shape", message=f"is {asked.shape!r}; {allowed} is allowed"))
    if asked.shape is not None and asked.recipe is not None:
        problems.append(Problem(path="--shape", message="and a recipe are both given; keep one"))
    if problems:
        raise RecipeError(problems, SOURCE)
    return BenchRequest(
        recipe=asked.recipe,
        shape=shape,
        overrides=asked.overrides,
        folder=asked.out,
        warm_up=asked.warm_up,
        steps=asked.steps,
    )


def comparison_request(asked: Asked, folder: Path) -> ComparisonRequest:
    """With its files in `folder`. Raises RecipeError naming each option that is wrong."""
    own = {"RECIPE": asked.recipe, "--shape": asked.shape, "--set": asked.overrides}
    hint = "does not go with --peers; choose a --case, and a --model if it is to be your own"
    problems = [Problem(path=name, message=hint) for name, value in own.items() if value]
    problems += [
        Problem(path="--peer", message=f"is {name!r}; {', '.join(PEERS)} is allowed")
        for name in asked.peers
        if name not in PEERS
    ]
    for option, path in (("--model", asked.model), ("--lengths", asked.lengths)):
        if path is not None and not path.exists():
            problems.append(Problem(path=option, message=f"{path} does not exist"))
    problems += _python_problems(asked.pythons)
    if problems:
        raise RecipeError(problems, SOURCE)
    return ComparisonRequest(
        cases=chosen_cases(asked.cases or DEFAULT_CASES),
        peers=asked.peers or PEERS,
        pythons=dict(_split(one) for one in asked.pythons),
        folder=folder,
        model=None if asked.model is None else str(asked.model.absolute()),
        lengths=asked.lengths,
        warm_up=asked.warm_up,
        steps=asked.steps,
        has_exact_reference=asked.is_exact,
        rounds=asked.rounds,
    )


def _python_problems(pythons: tuple[str, ...]) -> Iterator[Problem]:
    for text in pythons:
        name, command = _split(text)
        if name not in PEERS or not command:
            message = f"is {text!r}; write PEER=COMMAND with one of {', '.join(PEERS)}"
            yield Problem(path="--peer-python", message=message)
        elif missing := missing_python(command):
            yield Problem(path="--peer-python", message=f"{missing} of {name} is no program on this machine")


def _split(text: str) -> tuple[str, str]:
    name, _, command = text.partition("=")
    return name.strip(), command.strip()
