"""Carries out an `AdapterPlan` on one loaded model: freeze, put adapters in place, open whole modules for training.

Only this model's module instances are exchanged; no class is touched, and parameter names stay as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tui_tuner.engine.lora import LoraLinear, TrainedLinear, as_linear
from tui_tuner.errors import ModelError
from tui_tuner.plan import AdapterPlan, LoraTarget

Group = Literal["lora_A", "lora_B", "magnitude", "embedding", "head", "norm", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedTensor:
    """One tensor that the optimizer moves."""

    name: str
    """Name within the model: "model.layers.0.self_attn.q_proj.lora_A"."""
    saved_names: tuple[str, ...]
    """Keys in adapter_model.safetensors, in PEFT's layout; a tied matrix stands under both of its names."""
    group: Group
    parameter: nn.Parameter


@dataclass(frozen=True, slots=True)
class TrainedSet:
    """Everything that is trained in one model, and what was there before."""

    tensors: tuple[TrainedTensor, ...]
    adapters: dict[str, LoraLinear]
    base_copies: dict[str, Tensor]
    """Whole modules' weights as they were, by tensor name, in host memory; empty for full fine-tuning."""
    originals: dict[str, nn.Module] = field(default_factory=dict)
    """The base's own modules that ours stand in for, by path."""
    hooks: tuple[RemovableHandle, ...] = ()

    @property
    def num_parameters(self) -> int:
        return sum(one.parameter.numel() for one in self.tensors)


def add_adapters(model: nn.Module, plan: AdapterPlan, compute_dtype: torch.dtype) -> TrainedSet:
    """Freeze the model, then open exactly what the plan names.

    Args:
        compute_dtype: type of the activations; whole modules are trained in float32 and answer in this type.

    Raises:
        ModelError: the model is not what the plan was made for, or the counts differ from the plan's.
    """
    model.requires_grad_(False)
    if plan.method == "full":
        trained = _open_everything(model)
    else:
        paths = [target.path for target in plan.targets] + [module.path for module in plan.saved_modules]
        originals = {path: _module(model, path) for path in paths}
        adapters = {target.path: _put_adapter(model, target, plan) for target in plan.targets}
        is_tied = _input_table(model) is _output_head(model)
        copies = {name: value for module in plan.saved_modules for name, value in _host_copies(model, module.path)}
        whole = [_open_module(model, module.path, module.group) for module in plan.saved_modules]
        trained = TrainedSet((*_adapter_tensors(adapters), *_distinct(whole, model, is_tied)), adapters, copies)
        hooks = tuple(_answer_in(module, compute_dtype) for module in _hooked(model, plan))
        trained = replace(trained, base_copies=copies, originals=originals, hooks=hooks)
    if trained.num_parameters != plan.num_trainable:
        raise ModelError(
            f"The plan trains {plan.num_trainable:,} parameters, the loaded model opened {trained.num_parameters:,}.",
            "The weights do not match config.json; please report this model.",
        )
    return trained


def _host_copies(model: nn.Module, path: str) -> list[tuple[str, Tensor]]:
    module = _module(model, path)
    return [
        (f"{path}.{name}", parameter.data.to("cpu", copy=True))
        for name, parameter in module.named_parameters(recurse=False)
    ]


def _hooked(model: nn.Module, plan: AdapterPlan) -> Iterator[nn.Module]:
    for module in plan.saved_modules:
        found = _module(model, module.path)
        if not isinstance(found, TrainedLinear):
            yield found


def _put_adapter(model: nn.Module, target: LoraTarget, plan: AdapterPlan) -> LoraLinear:
    adapter = LoraLinear(as_linear(_module(model, target.path), target.path), plan, target)
    _replace(model, target.path, adapter)
    return adapter


def _adapter_tensors(adapters: dict[str, LoraLinear]) -> Iterator[TrainedTensor]:
    for path, adapter in adapters.items():
        parts: list[tuple[Group, nn.Parameter | None, str]] = [
            ("lora_A", adapter.lora_A, "lora_A.weight"),
            ("lora_B", adapter.lora_B, "lora_B.weight"),
            ("magnitude", adapter.lora_magnitude_vector, "lora_magnitude_vector"),
        ]
        for group, parameter, saved in parts:
            if parameter is not None:
                name = f"{path}.{saved.removesuffix('.weight')}"
                yield TrainedTensor(
                    name=name, saved_names=(f"base_model.model.{path}.{saved}",), group=group, parameter=parameter
                )


def _open_module(model: nn.Module, path: str, group: Group) -> list[TrainedTensor]:
    """Open a module's own parameters, as float32 master weights."""
    module = _module(model, path)
    for parameter in module.parameters(recurse=False):
        # Replacing `.data` keeps the Parameter object, and with it a tied head, in place.
        parameter.data = parameter.data.float()
        parameter.requires_grad_(True)
    if isinstance(module, nn.Linear):
        _replace(model, path, TrainedLinear(module))
    return [
        TrainedTensor(
            name=f"{path}.{name}", saved_names=(f"base_model.model.{path}.{name}",), group=group, parameter=parameter
        )
        for name, parameter in module.named_parameters(recurse=False)
    ]


def _answer_in(module: nn.Module, dtype: torch.dtype) -> RemovableHandle:
    """Float32 weights would make norms and embeddings answer in float32; what follows expects the compute type."""

    def cast(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        return output.to(dtype)

    return module.register_forward_hook(cast)


def _distinct(modules: list[list[TrainedTensor]], model: nn.Module, is_tied: bool) -> Iterator[TrainedTensor]:
    """Each trained tensor once; a tied matrix is trained once and saved under both of its names, as PEFT does."""
    seen: set[int] = set()
    for one in (tensor for tensors in modules for tensor in tensors):
        if id(one.parameter) in seen:
            continue
        seen.add(id(one.parameter))
        if is_tied and one.parameter is _input_table(model):
            names = [name for name, _ in model.named_parameters(remove_duplicate=False) if _same(model, name, one)]
            yield replace(one, saved_names=tuple(f"base_model.model.{name}" for name in names))
        else:
            yield one


def _same(model: nn.Module, name: str, tensor: TrainedTensor) -> bool:
    return model.get_parameter(name) is tensor.parameter


def _input_table(model: nn.Module) -> Tensor:
    return model.get_input_embeddings().weight  # type: ignore[operator]


def _output_head(model: nn.Module) -> Tensor:
    return model.get_output_embeddings().weight  # type: ignore[operator]


def _open_everything(model: nn.Module) -> TrainedSet:
    model.requires_grad_(True)
    table, head = _input_table(model), _output_head(model)
    tensors = []
    for name, parameter in model.named_parameters():
        group: Group = "norm" if parameter.ndim == 1 else "other"
        if parameter is table or parameter is head:
            group = "embedding" if parameter is table else "head"
        tensors.append(TrainedTensor(name=name, saved_names=(name,), group=group, parameter=parameter))
    return TrainedSet(tuple(tensors), {}, {})


def _module(model: nn.Module, path: str) -> nn.Module:
    try:
        return model.get_submodule(path)
    except AttributeError as error:
        raise ModelError(
            f"The model has no module {path}, although its config.json says so.",
            'Set acceleration.kernels = "off" and name adapter.targets by hand.',
        ) from error


def _replace(model: nn.Module, path: str, new: nn.Module) -> None:
    parent_path, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent_path), name, new.train(model.training))
