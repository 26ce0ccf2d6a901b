"""The states of the app that have a picture in snapshots/: how each is brought about, and at which sizes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.screens.chat import states as chat
from tests.screens.data import states as data
from tests.screens.doctor import states as doctor
from tests.screens.export import states as export
from tests.screens.model import states as model
from tests.screens.recipe import states as recipe
from tests.screens.runs import states as runs
from tests.screens.targets import states as targets
from tests.screens.train import states as train
from tui_tuner.screens.app import TunerApp

Size = tuple[int, int]
Variant = Literal["", "ascii", "light", "no-colour"]
NARROW: Size = (80, 24)
WIDE: Size = (120, 40)
SIZES = (NARROW, WIDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One state: an app over a folder, what leads to it, and a text that is there once it is reached."""

    name: str
    make: Callable[[Path], TunerApp]
    keys: tuple[str, ...] = ()
    arrange: Callable[[TunerApp], None] | None = None
    """After the keys: puts something in place of what a model, an engine or a network would have given."""
    then: tuple[str, ...] = ()
    """Keys after that."""
    shows: str
    sizes: tuple[Size, ...] = SIZES
    variant: Variant = ""
    """The app as it comes where empty."""

    @property
    def names(self) -> Iterator[tuple[str, Size]]:
        """The snapshot of each size."""
        for width, height in self.sizes:
            variant = f"-{self.variant}" if self.variant else ""
            yield f"{self.name}{variant}-{width}x{height}", (width, height)


def _narrow(name: str, make: Callable[[Path], TunerApp], *keys: str, shows: str, variant: Variant = "") -> Picture:
    return Picture(name=name, make=make, keys=keys, shows=shows, sizes=(NARROW,), variant=variant)


def _runs() -> Iterator[Picture]:
    yield Picture(name="runs/empty", make=runs.empty, shows="No runs yet")
    yield Picture(name="runs/filled", make=runs.filled, shows="summaries")
    yield _narrow("runs/filled", runs.filled, shows="summaries", variant="ascii")
    yield _narrow("runs/filled", runs.filled, shows="summaries", variant="no-colour")
    yield Picture(name="runs/filled", make=runs.filled, shows="summaries", variant="light", sizes=(WIDE,))
    yield _narrow("runs/unreadable", runs.unreadable, "j", shows="a line is not an event")
    yield _narrow("runs/compared", runs.filled, "space", "space", "d", shows="adapter.rank")
    yield _narrow("runs/delete", runs.filled, "x", shows="Delete support-v2")
    yield _narrow("runs/help", runs.filled, "question_mark", shows="Keys here")
    yield _narrow("runs/commands", runs.filled, "ctrl+p", shows="here: open recipe")
    yield Picture(name="runs/problem", make=runs.filled, arrange=runs.show_problem, shows="what to do", sizes=(NARROW,))
    yield Picture(name="runs/too-small", make=runs.empty, shows="tuner needs", sizes=((52, 15),))


def _model_and_targets() -> Iterator[Picture]:
    yield _narrow("model/empty", model.empty, "2", shows="tuner starter")
    yield Picture(name="model/filled", make=model.filled, keys=model.KEYS["filled"], shows="fits")
    yield _narrow("model/filled", model.filled, *model.KEYS["filled"], shows="fits", variant="ascii")
    yield _narrow("model/filled", model.filled, *model.KEYS["filled"], shows="fits", variant="no-colour")
    yield Picture(name="model/unknown", make=model.filled, keys=model.KEYS["unknown"], shows="no network")
    yield _narrow("targets/empty", targets.empty, "3", shows="Choose a model first")
    yield Picture(name="targets/filled", make=targets.filled, keys=("3",), shows="q_proj")
    yield _narrow("targets/filled", targets.filled, "3", shows="q_proj", variant="no-colour")
    yield _narrow("targets/layers", targets.filled, *targets.KEYS["layers"], shows="layers")
    yield _narrow("targets/wrong", targets.wrong, "3", shows="q_prj")


def _data_and_recipe() -> Iterator[Picture]:
    yield _narrow("data/no-data", data.no_data, "4", shows="No data yet")
    yield Picture(name="data/clean", make=data.clean, keys=("4",), shows="fit to train")
    yield _narrow("data/clean", data.clean, "4", shows="fit to train", variant="no-colour")
    yield Picture(name="data/blocked", make=data.blocked, keys=("4",), shows="rows block", sizes=(WIDE,))
    yield _narrow("data/checks", data.blocked, "4", "c", shows="Checks")
    yield _narrow("data/fix", data.blocked, "4", "f", shows="Fix")
    yield _narrow("data/failed", data.failed, "4", shows="gone.jsonl")
    yield _narrow("recipe/empty", recipe.empty, "5", shows="Choose a model")
    yield Picture(name="recipe/filled", make=recipe.filled, keys=("5",), shows="Learning rate")
    yield _narrow("recipe/filled", recipe.filled, "5", shows="Learning rate", variant="no-colour")
    yield _narrow("recipe/wrong", recipe.wrong, "5", shows="Learning rate")
    yield _narrow("recipe/typing", recipe.filled, *recipe.KEYS["typing"], shows="esc")
    yield _narrow("recipe/presets", recipe.filled, *recipe.KEYS["presets"], shows="least memory")
    yield _narrow("recipe/toml", recipe.filled, *recipe.KEYS["toml"], shows="[model]")


def _train() -> Iterator[Picture]:
    yield Picture(name="train/nothing", make=runs.empty, keys=("6",), shows="No run is open")
    for name, (arrange, shows) in train.SHOWN.items():
        sizes = SIZES if name == "running" else (NARROW,)
        yield Picture(name=f"train/{name}", make=train.gpu_box, keys=("6",), arrange=arrange, shows=shows, sizes=sizes)
    show_running, left = train.SHOWN["running"]
    for variant in ("ascii", "no-colour"):
        yield Picture(
            name="train/running", make=train.gpu_box, keys=("6",), arrange=show_running, shows=left, sizes=(NARROW,),
            variant=variant,
        )  # fmt: skip
    yield Picture(
        name="train/stop", make=train.gpu_box, keys=("6",), arrange=show_running, then=("x",), shows="Keep training",
        sizes=(NARROW,),
    )  # fmt: skip
    yield Picture(name="train/finished", make=train.finished, keys=("enter",), shows="completed")


def _chat() -> Iterator[Picture]:
    yield _narrow("chat/empty", chat.empty, "7", shows="No run has an adapter yet")
    yield _narrow("chat/suggested", chat.suggested, "7", shows="talks to support-v4")
    yield Picture(name="chat/answering", make=chat.empty, keys=("7",), arrange=chat.show_answering, shows="writing")
    for variant in ("ascii", "no-colour"):
        yield Picture(
            name="chat/answering", make=chat.empty, keys=("7",), arrange=chat.show_answering, shows="writing",
            sizes=(NARROW,), variant=variant,
        )  # fmt: skip
    yield Picture(
        name="chat/blind", make=chat.empty, keys=("7",), arrange=chat.show_blind, shows="Which is better?",
        sizes=(NARROW,),
    )  # fmt: skip
    yield _narrow("chat/settings", chat.empty, "7", "f3", shows="emperature")
    yield Picture(name="chat/failed", make=chat.empty, keys=("7",), arrange=chat.show_lost, shows="cannot answer",
                  sizes=(NARROW,))  # fmt: skip


def _export_and_doctor() -> Iterator[Picture]:
    yield _narrow("export/empty", export.empty, "8", shows="No run has an adapter yet")
    written = export.KEYS["written"]
    yield Picture(
        name="export/written", make=export.written, keys=written, arrange=export.choose_merged, shows="✓ written"
    )
    for name, make, shows in (("writing", export.writing, "writing"), ("failed", export.failed, "The disk is full")):
        yield Picture(
            name=f"export/{name}", make=make, keys=written, arrange=export.choose_merged, shows=shows, sizes=(NARROW,)
        )
    yield Picture(name="doctor/checked", make=doctor.open_doctor, keys=doctor.KEYS, then=("w",), shows="12 looked at")
    yield Picture(
        name="doctor/checked", make=doctor.open_doctor, keys=doctor.KEYS, then=("w",), shows="12 looked at",
        sizes=(NARROW,), variant="no-colour",
    )  # fmt: skip


PICTURES = (
    *_runs(), *_model_and_targets(), *_data_and_recipe(), *_train(), *_chat(), *_export_and_doctor(),
)  # fmt: skip
