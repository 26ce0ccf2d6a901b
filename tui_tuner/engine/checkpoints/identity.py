"""What a run is made of, kept in each checkpoint: a run goes on only with the same, or with what a person accepts."""

from collections.abc import Iterator

import torch
from pydantic import BaseModel, ConfigDict

from tui_tuner.data.certificate import Certificate, changes
from tui_tuner.errors import Change, LabelError, RunError, TunerError
from tui_tuner.plan import AdapterPlan, RunPlan
from tui_tuner.planning.weight_hashes import differing_file
from tui_tuner.recipe import Recipe

VERSIONS_THAT_MATTER = ("tuner", "torch", "transformers")
QUANTISING = "bitsandbytes"
FREE_FIELDS = (
    "training.evaluate_every",
    "training.save_every",
    "training.keep_checkpoints",
    "training.sample_prompts",
    "training.sample_tokens",
    "training.exact_match_rows",
    "acceleration.vram",
    "data.certificate",
    "export.",
    "output.",
)
"""Recipe fields, or the beginnings of their paths, that may change without changing what is trained."""
SHOWN_LENGTH = 60


class RunIdentity(BaseModel):
    """Recipe, plan, base model, labels and versions of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: RunPlan
    base_fingerprint: str
    base_files: dict[str, str] = {}
    """sha256 of each weight file whose hash was known."""
    certificate: Certificate
    versions: dict[str, str]
    device_name: str
    """The GPU's name, or "cpu"."""


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def recipe_changes(before: Recipe, now: Recipe) -> tuple[Change, ...]:
    """The fields that matter and are not as they were."""
    old, new = dict(_fields(before.model_dump(mode="json"))), dict(_fields(now.model_dump(mode="json")))
    return tuple(
        Change(what=path, before=_shown(old.get(path)), now=_shown(new.get(path)))
        for path in dict.fromkeys((*old, *new))
        if old.get(path) != new.get(path) and not path.startswith(FREE_FIELDS)
    )


def label_changes(before: RunIdentity, now: RunIdentity) -> tuple[Change, ...]:
    """What is not as it was in the labels and in what decides them."""
    return changes(before.certificate, now.certificate)


def other_changes(before: RunIdentity, now: RunIdentity) -> tuple[Change, ...]:
    """What is not as it was in the base model and in the versions."""
    found = []
    if before.base_fingerprint != now.base_fingerprint:
        prints = (before.base_fingerprint[:12], now.base_fingerprint[:12])
        found.append(Change(what="the base model's weights", before=prints[0], now=prints[1]))
    file = differing_file(before.base_files, now.base_files)
    if file is not None and not found:
        prints = (before.base_files[file][:12], now.base_files[file][:12])
        found.append(Change(what=f"the base model's {file}", before=prints[0], now=prints[1]))
    for name in _versions_that_matter(before.plan):
        old, new = before.versions.get(name, "none"), now.versions.get(name, "none")
        if old != new:
            found.append(Change(what=f"the version of {name}", before=old, now=new))
    return tuple(found)


def refusal(name: str, labels: tuple[Change, ...], others: tuple[Change, ...]) -> TunerError:
    """The error for a run that is not what it was."""
    count = "one thing has" if len(labels) + len(others) == 1 else f"{len(labels) + len(others)} things have"
    message = f"Run {name} would not go on as it began: {count} changed."
    hint = f"Put it back, or go on all the same with `tuner resume {name} --accept`."
    return (LabelError if labels else RunError)(message, hint, (*labels, *others))


def check_same_tensors(name: str, before: AdapterPlan, now: AdapterPlan, found: tuple[Change, ...]) -> None:
    """Raises RunError with the changes where the checkpoint holds other tensors than would be trained now."""
    if _trained(before) != _trained(now):
        raise RunError(
            f"Run {name} cannot go on: its checkpoint does not hold the tensors that would be trained now.",
            "Put it back, or train this recipe as a new run; --accept cannot help here.",
            found,
        )


def _trained(adapter: AdapterPlan) -> tuple[object, ...]:
    """What decides names and shapes of the trained tensors."""
    targets = {one.path: (adapter.rank_of(one), one.in_features, one.out_features) for one in adapter.targets}
    whole = {one.path: one.num_parameters for one in adapter.saved_modules}
    return adapter.method, adapter.use_dora, targets, whole


def _versions_that_matter(plan: RunPlan) -> Iterator[str]:
    yield from VERSIONS_THAT_MATTER
    if plan.quantization == "nf4" or plan.recipe.optimizer.name != "adamw":
        yield QUANTISING


def _fields(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of nested tables, by their dotted path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for number, inner in enumerate(value):
            yield from _fields(inner, f"{path}[{number}]")
    else:
        yield path, value


def _shown(value: object) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"
