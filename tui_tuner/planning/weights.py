"""The weight files of a model folder: which there are, what they declare, and whether that fits the config."""

from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath

from tui_tuner.errors import ModelError
from tui_tuner.families import ModelFamily, ModelShape, family_modules
from tui_tuner.planning.json_files import read_json_object
from tui_tuner.planning.safetensors_header import StoredTensor, read_header

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_NAME_LENGTH = 255
PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """All tensors that a folder's safetensors files declare. Empty where the folder has none."""

    files: tuple[str, ...] = ()
    num_bytes: int = 0
    tensors: tuple[StoredTensor, ...] = ()

    @property
    def dtype(self) -> str | None:
        """The type that holds most elements: "bfloat16", "float16", "float32" or another in its own spelling."""
        sizes: dict[str, int] = {}
        for tensor in self.tensors:
            sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.num_elements
        most = max(sizes, key=lambda dtype: sizes[dtype], default=None)
        return {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}.get(most, most) if most is not None else None


def read_weights(folder: Path) -> WeightFiles:
    """Read every header of the folder's model.

    Raises:
        ModelError: a file is missing, truncated or damaged, points outside the folder, or only pickles are there.
    """
    names = weight_file_names(folder)
    tensors = tuple(tensor for name in names for tensor in read_header(folder / name))
    return WeightFiles(names, sum((folder / name).stat().st_size for name in names), tensors)


def weight_file_names(folder: Path) -> tuple[str, ...]:
    """The safetensors files that make up the model, in order; empty where there are no weights at all."""
    if (folder / SINGLE_FILE).exists():
        return (SINGLE_FILE,)
    if (folder / INDEX_FILE).exists():
        return _shards(folder)
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_ENDINGS)
    if pickles:
        raise ModelError(
            f"{folder} holds its weights as pickle ({pickles[0]}), which can run any code when it is read.",
            "Choose a repository with .safetensors files, or convert them on a machine that you can lose.",
        )
    return ()


def check_against_family(weights: WeightFiles, family: ModelFamily, shape: ModelShape) -> None:
    """Compare what the files declare with what the config promises. Does nothing without weights or without a family.

    Raises:
        ModelError: naming the first tensor that is missing or has another shape, in module order.
    """
    if not weights.tensors or not family.is_known:
        return
    declared = {loaded_name(tensor.name, family): tensor for tensor in weights.tensors}
    for module in family_modules(family, shape):
        is_optional = module.kind == "head" and shape.tied_embeddings
        _check_tensor(declared.get(f"{module.path}.weight"), f"{module.path}.weight", module.weight, is_optional)
        if module.bias:
            _check_tensor(declared.get(f"{module.path}.bias"), f"{module.path}.bias", (module.bias,), False)


def loaded_name(stored_name: str, family: ModelFamily) -> str:
    """Name in the loaded model of a tensor in a file."""
    for stored, loaded in family.checkpoint_prefixes:
        if stored_name.startswith(stored):
            return loaded + stored_name.removeprefix(stored)
    return stored_name


def _shards(folder: Path) -> tuple[str, ...]:
    weight_map = read_json_object(folder / INDEX_FILE, INDEX_FILE).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{folder / INDEX_FILE} lists no weights.", "Download the file again.")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        _check_inside(folder, name)
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} of {len(names)} weight files: {missing[0]}.",
            "Download the model again; a part of it was not fetched.",
        )
    return tuple(names)


def _check_inside(folder: Path, name: str) -> None:
    path = PurePosixPath(name)
    is_inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name
    if not is_inside or path.suffix != ".safetensors" or len(name.encode("utf-8", "replace")) > MAX_NAME_LENGTH:
        raise ModelError(
            f"{folder / INDEX_FILE} points to {name[:MAX_NAME_LENGTH]!r}, no safetensors file inside the folder.",
            "Do not use this model; its index was tampered with or is damaged.",
        )


def _check_tensor(tensor: StoredTensor | None, name: str, expected: tuple[int, ...], is_optional: bool) -> None:
    if tensor is None:
        if is_optional:
            return
        raise ModelError(f"The weight files lack {name}, which config.json promises.", "Download the model again.")
    is_packed = tensor.dtype in ("U8", "I8") and len(expected) == 2
    found_elements = tensor.num_elements * (2 if is_packed else 1)
    if tensor.shape != expected and not (is_packed and found_elements == prod(expected)):
        raise ModelError(
            f"{tensor.file}: {name} has shape {list(tensor.shape)}, config.json says {list(expected)}.",
            "config.json and the weights are of different models.",
        )
