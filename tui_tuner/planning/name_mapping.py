"""Pairs of 16-bit and pre-quantised repositories, and the decision which of a pair is loaded. Never silent."""

from collections.abc import Collection

from tui_tuner.plan import NameDecision
from tui_tuner.recipe import ModelSection

PRE_QUANTISED_SUFFIXES = ("-unsloth-bnb-4bit", "-bnb-4bit")
MIRROR_OWNER = "unsloth"
# 16-bit copies under another owner or spelling, where stripping a suffix alone does not find the original.
ORIGINALS = {
    "unsloth/llama-3-8b": "meta-llama/Meta-Llama-3-8B",
    "unsloth/llama-3-8b-Instruct": "meta-llama/Meta-Llama-3-8B-Instruct",
    "unsloth/Meta-Llama-3.1-8B": "meta-llama/Llama-3.1-8B",
    "unsloth/Meta-Llama-3.1-8B-Instruct": "meta-llama/Llama-3.1-8B-Instruct",
    "unsloth/Llama-3.1-8B": "meta-llama/Llama-3.1-8B",
    "unsloth/Llama-3.1-8B-Instruct": "meta-llama/Llama-3.1-8B-Instruct",
    "unsloth/Llama-3.2-1B": "meta-llama/Llama-3.2-1B",
    "unsloth/Llama-3.2-1B-Instruct": "meta-llama/Llama-3.2-1B-Instruct",
    "unsloth/Llama-3.2-3B": "meta-llama/Llama-3.2-3B",
    "unsloth/Llama-3.2-3B-Instruct": "meta-llama/Llama-3.2-3B-Instruct",
    "unsloth/Llama-3.3-70B-Instruct": "meta-llama/Llama-3.3-70B-Instruct",
    "unsloth/mistral-7b-v0.3": "mistralai/Mistral-7B-v0.3",
    "unsloth/mistral-7b-instruct-v0.3": "mistralai/Mistral-7B-Instruct-v0.3",
    "unsloth/Qwen2.5-0.5B": "Qwen/Qwen2.5-0.5B",
    "unsloth/Qwen2.5-0.5B-Instruct": "Qwen/Qwen2.5-0.5B-Instruct",
    "unsloth/Qwen2.5-1.5B": "Qwen/Qwen2.5-1.5B",
    "unsloth/Qwen2.5-1.5B-Instruct": "Qwen/Qwen2.5-1.5B-Instruct",
    "unsloth/Qwen2.5-3B": "Qwen/Qwen2.5-3B",
    "unsloth/Qwen2.5-3B-Instruct": "Qwen/Qwen2.5-3B-Instruct",
    "unsloth/Qwen2.5-7B": "Qwen/Qwen2.5-7B",
    "unsloth/Qwen2.5-7B-Instruct": "Qwen/Qwen2.5-7B-Instruct",
    "unsloth/Qwen2.5-14B-Instruct": "Qwen/Qwen2.5-14B-Instruct",
    "unsloth/Qwen3-0.6B": "Qwen/Qwen3-0.6B",
    "unsloth/Qwen3-1.7B": "Qwen/Qwen3-1.7B",
    "unsloth/Qwen3-4B": "Qwen/Qwen3-4B",
    "unsloth/Qwen3-8B": "Qwen/Qwen3-8B",
    "unsloth/Qwen3-14B": "Qwen/Qwen3-14B",
    "unsloth/gemma-2b": "google/gemma-2b",
    "unsloth/gemma-7b": "google/gemma-7b",
    "unsloth/gemma-2-2b": "google/gemma-2-2b",
    "unsloth/gemma-2-2b-it": "google/gemma-2-2b-it",
    "unsloth/gemma-2-9b": "google/gemma-2-9b",
    "unsloth/gemma-2-9b-it": "google/gemma-2-9b-it",
    "unsloth/gemma-3-1b-it": "google/gemma-3-1b-it",
    "unsloth/gemma-3-4b-it": "google/gemma-3-4b-it",
    "unsloth/Phi-3-mini-4k-instruct": "microsoft/Phi-3-mini-4k-instruct",
    "unsloth/Phi-3.5-mini-instruct": "microsoft/Phi-3.5-mini-instruct",
    "unsloth/phi-4": "microsoft/phi-4",
    "unsloth/granite-3.2-2b-instruct": "ibm-granite/granite-3.2-2b-instruct",
    "unsloth/granite-3.2-8b-instruct": "ibm-granite/granite-3.2-8b-instruct",
}
_ORIGINAL_OF = {mirror.lower(): original for mirror, original in ORIGINALS.items()}


def is_pre_quantised(repo_id: str) -> bool:
    """Whether a name says that its weights are 4-bit already."""
    return repo_id.lower().endswith(PRE_QUANTISED_SUFFIXES)


def sixteen_bit_names(repo_id: str) -> tuple[str, ...]:
    """Repositories with the same weights in 16 bit, without `repo_id` itself: the original first, then mirrors."""
    plain = _without_suffix(repo_id)
    original = _ORIGINAL_OF.get(plain.lower())
    mirrors = [mirror for mirror, named in ORIGINALS.items() if named.lower() == (original or plain).lower()]
    names = [*([original] if original else []), plain, *mirrors]
    return _distinct_without(names, repo_id)


def pre_quantised_names(repo_id: str) -> tuple[str, ...]:
    """Repositories that may hold the same model in 4 bit, without `repo_id` itself."""
    plain = [name for name in (_without_suffix(repo_id), *sixteen_bit_names(repo_id)) if name.startswith(MIRROR_OWNER)]
    if not plain:
        plain = [f"{MIRROR_OWNER}/{_without_suffix(repo_id).rpartition('/')[2]}"]
    return _distinct_without([name + suffix for name in plain for suffix in PRE_QUANTISED_SUFFIXES], repo_id)


def decide_name(section: ModelSection, cached: Collection[str]) -> NameDecision:
    """Which repository is loaded for a hub id, and why.

    A swap happens only where it is needed: 4-bit weights were typed but 16 bit is wanted, or only a twin of the same
    use is in the cache. `cached` names the repositories whose weights are on this machine.
    """
    typed = section.source
    alternatives = (*sixteen_bit_names(typed), *pre_quantised_names(typed))
    loads, reason = _choice(section, cached)
    others = tuple(name for name in (typed, *alternatives) if name != loads)
    return NameDecision(typed=typed, loads=loads, reason=reason, alternatives=others[:4], is_swapped=loads != typed)


def _choice(section: ModelSection, cached: Collection[str]) -> tuple[str, str]:
    typed = section.source
    if section.name_mapping == "off":
        return typed, "exactly as typed, for name mapping is off"
    if section.revision is not None:
        return typed, "exactly as typed, for a revision is named"
    if is_pre_quantised(typed) and section.quantization in ("none", "fp8"):
        twins = sixteen_bit_names(typed)
        loads = next((name for name in twins if name in cached), twins[0])
        return loads, f'its weights are stored in 4 bit and quantization = "{section.quantization}" needs 16 bit'
    if typed in cached:
        return typed, "as typed; it is in the cache"
    return _cached_twin(section, cached) or (typed, "as typed")


def _cached_twin(section: ModelSection, cached: Collection[str]) -> tuple[str, str] | None:
    typed = section.source
    sixteen_bit = next((name for name in sixteen_bit_names(typed) if name in cached), None)
    if sixteen_bit is not None:
        made = ", and is made 4-bit on loading" if is_pre_quantised(typed) else ""
        return sixteen_bit, f"the same weights in 16 bit are in the cache{made}; {typed} is not"
    four_bit = next((name for name in pre_quantised_names(typed) if name in cached), None)
    if four_bit is not None and (section.quantization == "nf4" or is_pre_quantised(typed)):
        return four_bit, f"its 4-bit weights are in the cache; {typed} is not"
    return None


def _without_suffix(repo_id: str) -> str:
    for suffix in PRE_QUANTISED_SUFFIXES:
        if repo_id.lower().endswith(suffix):
            return repo_id[: -len(suffix)]
    return repo_id


def _distinct_without(names: list[str], repo_id: str) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if name.lower() != repo_id.lower())
