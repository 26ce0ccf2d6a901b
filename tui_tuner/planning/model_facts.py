"""What is known of a base model without loading it: from config.json alone if need be, from weight headers if there."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

from tui_tuner.errors import ModelError
from tui_tuner.families import ModelFamily, ModuleShape, family_modules
from tui_tuner.plan import ModelFacts
from tui_tuner.planning.config_json import ModelConfig, read_config
from tui_tuner.planning.generic_model import generic_modules, generic_num_parameters, has_experts
from tui_tuner.planning.model_source import LocatedModel
from tui_tuner.planning.weights import WeightFiles, check_against_family, loaded_name, read_weights
from tui_tuner.recipe import ModelSection


@dataclass(frozen=True, slots=True)
class BaseModel:
    """The facts, and the modules with weights that the loaded model will have. Modules are empty where unknown."""

    facts: ModelFacts
    family: ModelFamily
    modules: tuple[ModuleShape, ...]


def read_base_model(located: LocatedModel, section: ModelSection) -> BaseModel:
    """Read config.json and the weight headers of a located model.

    Raises:
        ModelError: the files are missing, damaged, contradict each other, or describe what tuner cannot train.
    """
    config = read_config(located.folder, allow_remote_code=section.remote_code)
    weights = read_weights(located.folder) if located.is_complete else WeightFiles()
    check_against_family(weights, config.family, config.shape)
    if config.family.is_known:
        modules = family_modules(config.family, config.shape)
    else:
        modules = generic_modules(weights.tensors)
    return BaseModel(_facts(located, config, weights, modules), config.family, modules)


def _facts(
    located: LocatedModel, config: ModelConfig, weights: WeightFiles, modules: tuple[ModuleShape, ...]
) -> ModelFacts:
    shape = config.shape
    return ModelFacts(
        source=located.name.loads,
        folder=str(located.folder),
        model_type=config.model_type,
        architecture=config.architecture,
        family=config.family.name,
        is_accelerated=config.family.is_known,
        dtype=config.dtype or weights.dtype or "float32",
        hidden_size=shape.hidden_size,
        num_layers=shape.num_layers,
        num_heads=shape.num_heads,
        num_kv_heads=shape.num_kv_heads,
        head_dim=shape.head_dim,
        intermediate_size=shape.intermediate_size,
        vocab_size=shape.vocab_size,
        context_length=config.context_length,
        tied_embeddings=shape.tied_embeddings,
        num_parameters=_num_parameters(config, weights, modules),
        num_linear_parameters=sum(prod(module.weight) for module in modules if module.kind == "linear"),
        weight_files=weights.files,
        weight_bytes=weights.num_bytes or None,
        stored_quantization=config.stored_quantization,
        revision=located.revision,
        unknowns=(*config.unknowns, *_unknowns(located, config, weights, modules)),
    )


def _num_parameters(config: ModelConfig, weights: WeightFiles, modules: tuple[ModuleShape, ...]) -> int:
    is_tied = config.shape.tied_embeddings
    if not config.family.is_known:
        return generic_num_parameters(weights.tensors, is_tied)
    text_part = sum(module.num_parameters for module in modules if not (is_tied and module.kind == "head"))
    return text_part + (_elements_beside(weights, config.family, modules) if config.family.holds_more else 0)


def _elements_beside(weights: WeightFiles, family: ModelFamily, modules: tuple[ModuleShape, ...]) -> int:
    text_paths = {module.path for module in modules}
    return sum(
        tensor.num_elements
        for tensor in weights.tensors
        if loaded_name(tensor.name, family).rpartition(".")[0] not in text_paths
    )


def _unknowns(
    located: LocatedModel, config: ModelConfig, weights: WeightFiles, modules: tuple[ModuleShape, ...]
) -> list[str]:
    unknowns = []
    if not weights.files:
        where = "they are fetched before training" if located.is_hub else f"none in {located.folder}"
        unknowns.append(f"no weight files ({where}): sizes come from config.json, and nothing checked that they match")
    if not config.family.is_known and not weights.files:
        unknowns.append(f"{config.model_type} is no known family: without weight files its modules cannot be counted")
    if config.family.holds_more and not weights.files:
        unknowns.append("the part of the model beside its text part is not counted: only weight files say its size")
    if has_experts(modules):
        unknowns.append("expert weights are fused on loading: they get no adapters and are not in the linear total")
    return unknowns


def model_folder(facts: ModelFacts) -> Path:
    """The local folder of a model. Raises ModelError where the facts name none."""
    if facts.folder is None:
        raise ModelError(f"{facts.source} is not on this machine.", "Connect to the network once to fetch it.")
    return Path(facts.folder)
