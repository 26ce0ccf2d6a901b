"""The states of the app that have a picture in snapshots/: how each is brought about, and at which sizes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.plans import NOON, llama_plan, scripted_events
from tests.screens.data import states as data
from tests.screens.model import states as model
from tests.screens.recipe import states as recipe
from tests.screens.runs.material import failed, finished, write_run
from tests.screens.targets import states as targets
from tests.screens.world import GPU_BOX, LAPTOP, make_app
from tui_tuner.journal import RunJournal
from tui_tuner.recipe import recipe_to_toml
from tui_tuner.screens.app import TunerApp

SIZES = ((80, 24), (120, 40))


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One state: an app over a folder, the keys that lead to it, and a text that is there once it is reached."""

    name: str
    make: Callable[[Path], TunerApp]
    keys: tuple[str, ...] = ()
    shows: str
    sizes: tuple[tuple[int, int], ...] = SIZES
    variant: str = ""
    """ "ascii", "light" or "no-colour"; the app as it comes where empty."""

    @property
    def names(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """The snapshot of each size."""
        for width, height in self.sizes:
            variant = f"-{self.variant}" if self.variant else ""
            yield f"{self.name}{variant}-{width}x{height}", (width, height)


def nothing(folder: Path) -> TunerApp:
    return make_app(folder, LAPTOP)


def some_runs(folder: Path) -> TunerApp:
    """A good run, a better one, one that failed and one that died."""
    runs = folder / "runs"
    write_run(runs, "support-v1", [2.2 * 0.93**n + 0.8 for n in range(40)], finished(0.981, 40), started=NOON - 90_000)
    write_run(
        runs, "support-v2", [2.4 * 0.9**n + 0.7 for n in range(60)], finished(0.912, 60), started=NOON - 9_000, rank=32
    )
    write_run(runs, "sql-r64", [2.0, 1.9, 2.4, float("nan")], failed(4), started=NOON - 200_000)
    write_run(runs, "summaries", [2.5 * 0.95**n + 1.0 for n in range(12)], started=NOON - 300_000)
    return make_app(folder, GPU_BOX)


def a_finished_run(folder: Path) -> TunerApp:
    """Everything that a run can have: evaluations, answers, checkpoints, a proof."""
    plan = llama_plan(steps=40)
    with RunJournal.create(folder / "runs", "support-v3", recipe_to_toml(plan.recipe), plan) as journal:
        for event in scripted_events(steps=40):
            journal.append(event)
    return make_app(folder, GPU_BOX)


def in_ascii(make: Callable[[Path], TunerApp]) -> Callable[[Path], TunerApp]:
    """The same app with the settings of a plain terminal."""

    def made(folder: Path) -> TunerApp:
        (folder / "config").mkdir(parents=True, exist_ok=True)
        (folder / "config" / "settings.toml").write_text('glyphs = "ascii"\n')
        return make(folder)

    return made


def in_light(make: Callable[[Path], TunerApp]) -> Callable[[Path], TunerApp]:
    """The same app in the light theme."""

    def made(folder: Path) -> TunerApp:
        (folder / "config").mkdir(parents=True, exist_ok=True)
        (folder / "config" / "settings.toml").write_text('theme = "tuner-light"\n')
        return make(folder)

    return made


PICTURES = (
    Picture(name="runs/empty", make=nothing, shows="No runs yet"),
    Picture(name="runs/filled", make=some_runs, shows="summaries"),
    Picture(name="runs/filled", make=in_ascii(some_runs), shows="summaries", variant="ascii", sizes=((80, 24),)),
    Picture(name="runs/filled", make=in_light(some_runs), shows="summaries", variant="light", sizes=((120, 40),)),
    Picture(
        name="runs/compared", make=some_runs, keys=("space", "space", "d"), shows="adapter.rank", sizes=((80, 24),)
    ),
    Picture(name="runs/help", make=some_runs, keys=("question_mark",), shows="Keys here", sizes=((80, 24),)),
    Picture(name="runs/too-small", make=nothing, shows="tuner needs", sizes=((52, 15),)),
    Picture(name="train/nothing", make=nothing, keys=("6",), shows="No run is open"),
    Picture(name="train/finished", make=a_finished_run, keys=("enter",), shows="completed"),
    Picture(
        name="train/finished", make=in_ascii(a_finished_run), keys=("enter",), shows="completed", variant="ascii",
        sizes=((80, 24),),
    ),
    Picture(name="model/empty", make=model.empty, keys=("2",), shows="tuner starter", sizes=((80, 24),)),
    Picture(name="model/filled", make=model.filled, keys=model.KEYS["filled"], shows="fits"),
    Picture(name="targets/empty", make=targets.empty, keys=("3",), shows="Choose a model first", sizes=((80, 24),)),
    Picture(name="targets/filled", make=targets.filled, keys=("3",), shows="q_proj"),
    Picture(name="data/no-data", make=data.no_data, keys=("4",), shows="o", sizes=((80, 24),)),
    Picture(name="data/clean", make=data.clean, keys=("4",), shows="fit to train"),
    Picture(name="data/blocked", make=data.blocked, keys=("4",), shows="rows block", sizes=((120, 40),)),
    Picture(name="data/checks", make=data.blocked, keys=("4", "c"), shows="Checks", sizes=((80, 24),)),
    Picture(name="data/fix", make=data.blocked, keys=("4", "f"), shows="Fix", sizes=((80, 24),)),
    Picture(name="recipe/filled", make=recipe.filled, keys=("5",), shows="Learning rate"),
    Picture(name="recipe/wrong", make=recipe.wrong, keys=("5",), shows="Learning rate", sizes=((80, 24),)),
)  # fmt: skip
