"""A model that no family describes, as its weight files name its tensors. What names cannot say is left out."""

from tui_tuner.families import ModuleShape
from tui_tuner.planning.safetensors_header import StoredTensor

HEAD_NAMES = ("lm_head", "embed_out", "output")
QUANTISED_PARTS = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".quant_state.bitsandbytes__nf4")
EXPERTS = "experts"


def generic_modules(tensors: tuple[StoredTensor, ...]) -> tuple[ModuleShape, ...]:
    """Modules with a weight. A matrix in a numbered layer is linear; an expert is "other": it gets fused."""
    biases = {one.name.removesuffix(".bias"): one.num_elements for one in tensors if one.name.endswith(".bias")}
    modules = []
    for tensor in tensors:
        path, _, leaf = tensor.name.rpartition(".")
        if leaf == "weight":
            modules.append(_module(path, tensor.shape, biases.get(path, 0)))
    return tuple(modules)


def generic_num_parameters(tensors: tuple[StoredTensor, ...], tied_embeddings: bool) -> int:
    """All elements, without the tables of 4-bit weights and without a second copy of a tied head."""
    total = 0
    for tensor in tensors:
        is_tied_head = tied_embeddings and tensor.name.rpartition(".")[0].endswith(HEAD_NAMES)
        if not tensor.name.endswith(QUANTISED_PARTS) and not is_tied_head:
            total += tensor.num_elements
    return total


def has_experts(modules: tuple[ModuleShape, ...]) -> bool:
    return any(EXPERTS in module.path.split(".") for module in modules)


def _module(path: str, shape: tuple[int, ...], bias: int) -> ModuleShape:
    parts = path.split(".")
    layer = next((int(part) for part in parts if part.isdigit()), None)
    if parts[-1] in HEAD_NAMES:
        return ModuleShape(path, "head", shape, bias)
    if len(shape) == 1:
        return ModuleShape(path, "norm", shape, bias, layer)
    if len(shape) == 2 and layer is None:
        return ModuleShape(path, "embedding", shape, bias)
    if len(shape) == 2 and EXPERTS not in parts:
        return ModuleShape(path, "linear", shape, bias, layer)
    return ModuleShape(path, "other", shape, bias, layer)
