"""Model families, one data file each. A new family is one file and one line here."""

from tui_tuner.families.cohere import COHERE
from tui_tuner.families.cohere2 import COHERE2
from tui_tuner.families.gemma import GEMMA
from tui_tuner.families.gemma2 import GEMMA2
from tui_tuner.families.gemma3 import GEMMA3, GEMMA3_WITH_IMAGES
from tui_tuner.families.granite import GRANITE
from tui_tuner.families.llama import LLAMA
from tui_tuner.families.mistral import MISTRAL
from tui_tuner.families.phi3 import PHI3
from tui_tuner.families.qwen2 import QWEN2
from tui_tuner.families.qwen3 import QWEN3
from tui_tuner.families.shapes import ModelShape, ModuleShape, family_modules
from tui_tuner.families.types import ConfigValue, LayerParts, Linear, LogitFields, ModelFamily, Norm, Width

FAMILIES = (LLAMA, MISTRAL, QWEN2, QWEN3, GEMMA, GEMMA2, GEMMA3, GEMMA3_WITH_IMAGES, PHI3, COHERE, COHERE2, GRANITE)
GENERIC = ModelFamily(
    name="generic",
    model_types=(),
    causal_lm_class="AutoModelForCausalLM",
    layer_class="",
    norm_class="",
    linears=(),
    norms=(),
)
"""Any other causal language model: its modules are read from the weight files, and it runs unaccelerated."""

__all__ = [
    "FAMILIES",
    "GENERIC",
    "ConfigValue",
    "LayerParts",
    "Linear",
    "LogitFields",
    "ModelFamily",
    "ModelShape",
    "ModuleShape",
    "Norm",
    "Width",
    "family_for",
    "family_modules",
]


def family_for(model_type: str) -> ModelFamily:
    """The family of config.json's model_type, or `GENERIC`."""
    return next((family for family in FAMILIES if model_type in family.model_types), GENERIC)
