"""Recipes, facts and machines of any kind, for tests of planning."""

from pathlib import Path
from typing import Any

from tests.planning.model_folders import base_model
from tui_tuner.families.llama import LLAMA
from tui_tuner.hardware import Gpu, Hardware
from tui_tuner.plan import DataFacts, NameDecision, RunPlan, SourceFacts
from tui_tuner.planning.run_plan import plan_for_data
from tui_tuner.recipe import Recipe, parse_recipe

GIB = 2**30
LLAMA_8B = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "max_position_embeddings": 131072,
}
CPU_ONLY = Hardware(gpus=(), cpu_count=2, ram_bytes=16 * GIB, ram_free_bytes=12 * GIB)


def machine(free_gib: float, capability: tuple[int, int] = (9, 0)) -> Hardware:
    gpu = Gpu(
        index=0,
        name="NVIDIA Test",
        total_bytes=int(free_gib * GIB),
        free_bytes=int(free_gib * GIB),
        compute_capability=capability,
        driver="580.1",
    )
    return Hardware(gpus=(gpu,), cpu_count=8, ram_bytes=64 * GIB, ram_free_bytes=60 * GIB)


def recipe(*overrides: str) -> Recipe:
    return parse_recipe('[model]\nsource = "m"\n[[data.sources]]\npath = "train.jsonl"\n', overrides)


def facts(rows: int = 1600, **changes: Any) -> DataFacts:
    source = SourceFacts(
        path="train.jsonl", files=("train.jsonl",), shape="messages", shape_reason="has", columns={}, num_rows=rows
    )
    known = DataFacts(
        sources=(source,),
        template="the model's own",
        num_rows=rows,
        num_evaluation_rows=20,
        num_tokens=rows * 200,
        longest=1024,
        p99_length=1000,
        max_length=1024,
        packing=False,
    )
    return known.model_copy(update=changes)


def plan(
    folder: Path,
    *overrides: str,
    on: Hardware = CPU_ONLY,
    config: dict[str, Any] | None = None,
    data: DataFacts | None = None,
) -> RunPlan:
    """A plan for a tiny Llama, or another config, whose data was surveyed already."""
    base = base_model(folder, config or dict(LLAMA.tiny))
    name = NameDecision(typed="m", loads="m", reason="as typed")
    return plan_for_data(recipe(*overrides), on, base, name, data or facts())
