"""One training step of LoRA (r = 16, all linears) on a random model of a real shape, through the engine's own parts.

    python -m benchmarks.step --size 8b --base bf16 --policy keep --batch 4 --length 2048 [--profile] [--json FILE]

Prints tokens per second, peak memory and the share of what matrix products and attention alone would allow.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from tui_tuner.engine.acceleration.accelerate import prepare
from tui_tuner.engine.acceleration.graphs import GraphedSteps
from tui_tuner.engine.adapters import add_adapters
from tui_tuner.engine.batches import MicroBatch
from tui_tuner.engine.bench.named_models import SHAPES
from tui_tuner.engine.bench.shape_names import ShapeName
from tui_tuner.engine.fp8_base import hold_in_fp8
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.optimizers import Optimizer, build_optimizer, trainable_groups
from tui_tuner.hardware import probe_hardware
from tui_tuner.kernels.linear_cross_entropy import IGNORED_LABEL, HeadOptions
from tui_tuner.plan import LayerCounts, MemoryFit, RunPlan
from tui_tuner.planning.fitting.fit import expected_peak
from tui_tuner.planning.own_layers.counts import layer_counts
from tui_tuner.planning.run_plan import make_plan
from tui_tuner.recipe import parse_recipe

QUANTIZATIONS = {"bf16": "none", "fp8": "fp8", "nf4": "nf4"}
POLICIES = {"keep": "off", "recompute": "layers", "offload": "offload"}


def main() -> None:
    options = _options()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = _config(options.size)
    plan = _plan(config, options, device)
    turned = options.base == "fp8" and options.turned == "kept"
    counts = options.layers and LayerCounts(
        keep=options.layers[0], recompute=options.layers[1], offload=options.layers[2]
    )
    weights = {"keeps_transposed": turned, "dequantized_layers": options.dequantized}
    plan = plan.model_copy(update={"recompute": POLICIES[options.policy], "layers": counts, **weights})
    model, optimizer = _ready(config, options, plan, device)
    resident = torch.cuda.memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    batches = [_batch(options, config.vocab_size, seed).to(device) for seed in range(2)]
    if options.graphs == "off" and isinstance(model.micro_step, GraphedSteps):
        model = replace(model, micro_step=model.micro_step.eager)
    losses = [_step(model, optimizer, batches[index % 2]) for index in range(options.warmup)]
    seconds, host = _timed(model, optimizer, batches, options.steps, device)
    result = _result(options, config, model, seconds, host, device)
    result["resident_gib"] = round(resident, 2)
    result["expected_gib"] = round(_expected_peak(plan, options, config.num_hidden_layers) / 2**30, 2)
    result["loss"] = [round(losses[0], 4), round(_step(model, optimizer, batches[0]), 4)]
    print(json.dumps(result), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(result))
    if options.profile:
        _profile(model, optimizer, batches[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=sorted(SHAPES), default="1b")
    parser.add_argument("--base", choices=["bf16", "fp8", "nf4"], default="bf16")
    parser.add_argument("--turned", choices=["kept", "made"], default="kept", help="of an fp8 base: the other order")
    parser.add_argument("--dequantized", type=int, default=0, help="layers whose NF4 base is held in 16 bits as well")
    parser.add_argument("--policy", choices=sorted(POLICIES), default="keep")
    parser.add_argument("--layers", type=int, nargs=3, help="how many keep, compute again, wait on the host")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=4)
    parser.add_argument("--masked", type=float, default=0.0, help="share of each row that is not trained")
    parser.add_argument("--documents", type=int, default=1, help="equal documents in each row, as packing makes them")
    parser.add_argument("--kernels", choices=["auto", "off"], default="auto", help="off: the model's own layers")
    parser.add_argument("--graphs", choices=["auto", "off"], default="auto", help="off: every launch by the host")
    parser.add_argument("--teraflops", type=float, default=780.0, help="what matrix products reach on this device")
    parser.add_argument("--profile", action="store_true", help="print the 25 longest kernels of one step")
    parser.add_argument("--json", default=os.environ.get("OUT", "") and f"{os.environ['OUT']}/step.json")
    return parser.parse_args()


def _config(size: ShapeName) -> Any:
    return AutoConfig.for_model(**SHAPES[size])


def _plan(config: Any, options: argparse.Namespace, device: torch.device) -> RunPlan:
    """As a run would make it; nothing is read but config.json."""
    folder = Path(tempfile.mkdtemp())
    config.architectures = [type(config).__name__.replace("Config", "ForCausalLM")]
    config.save_pretrained(folder)
    (folder / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    recipe = parse_recipe(f"""
model = {{source = "{folder}", quantization = "{QUANTIZATIONS[options.base]}", dtype = "bfloat16"}}
data.sources = [{{path = "{folder / "rows.jsonl"}"}}]
data.max_length = {options.length}
acceleration = {{device = "{device.type}", kernels = "{options.kernels}"}}
adapter = {{rank = 16, alpha = 16}}
training.micro_batch_size = {options.batch}
""")
    return make_plan(recipe, probe_hardware())


def _ready(
    config: Any, options: argparse.Namespace, plan: RunPlan, device: torch.device
) -> tuple[TrainingModel, Optimizer]:
    torch.manual_seed(0)
    with device:
        module = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    if options.base == "nf4":
        _quantise(module)
    if options.base == "fp8":
        hold_in_fp8(module)
    model = TrainingModel(
        module=module, device=device, compute_dtype=torch.bfloat16, head=HeadOptions(), uses_autocast=False
    )
    trained = add_adapters(module, plan.adapter, torch.bfloat16)
    groups = {group.name: number for number, group in enumerate(trainable_groups(trained, plan))}
    prepared = prepare(model, trained, plan, groups)
    print(f"layers: {prepared.model.obstacle or 'ours'}")
    module.train()
    return prepared.model, build_optimizer(trained, plan, prepared.flat)


def _quantise(module: nn.Module) -> None:
    """As loading does: each linear module of the layers becomes NF4 with double quantisation."""
    for layer in module.get_submodule("model.layers").children():
        for name, linear in list(layer.named_modules()):
            if isinstance(linear, nn.Linear):
                packed = bnb.nn.Linear4bit(
                    linear.in_features, linear.out_features, linear.bias is not None,
                    compute_dtype=torch.bfloat16, quant_type="nf4", device="meta",
                )  # fmt: skip
                weight = bnb.nn.Params4bit(linear.weight.data.cpu(), requires_grad=False, quant_type="nf4")
                packed.weight, packed.bias = weight.to(linear.weight.device), linear.bias
                parent, _, last = name.rpartition(".")
                setattr(layer.get_submodule(parent), last, packed)


def _batch(options: argparse.Namespace, vocabulary: int, seed: int) -> MicroBatch:
    ids = torch.randint(4, vocabulary, (options.batch, options.length), generator=torch.Generator().manual_seed(seed))
    labels = torch.cat([ids[:, 1:], torch.full((options.batch, 1), IGNORED_LABEL)], dim=1)
    labels[:, : int(options.masked * options.length)] = IGNORED_LABEL
    each = options.length // options.documents
    positions = torch.arange(options.length).remainder(each).expand(options.batch, -1).contiguous()
    trained = int((labels != IGNORED_LABEL).sum())
    return MicroBatch(ids, labels, positions, ((each,) * options.documents,) * options.batch, trained, ())


def _step(model: TrainingModel, optimizer: Optimizer, batch: MicroBatch) -> float:
    """What the training loop does for a step of one micro-batch."""
    value = float(model.add_gradients(batch, batch.num_trained))
    optimizer.clip()
    optimizer.step(1.0)
    return value


def _timed(
    model: TrainingModel, optimizer: Optimizer, batches: list[MicroBatch], steps: int, device: torch.device
) -> tuple[float, float]:
    """Median seconds of a step, and of the host's part in it: until the loss is asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    whole, host = [], []
    for index in range(steps):
        began = time.perf_counter()
        loss = model.add_gradients(batches[index % 2], batches[0].num_trained)
        host.append(time.perf_counter() - began)
        float(loss)
        optimizer.clip()
        optimizer.step(1.0)
        whole.append(time.perf_counter() - began)
    return sorted(whole)[steps // 2], sorted(host)[steps // 2]


def _result(
    options: argparse.Namespace, config: Any, model: TrainingModel, seconds: float, host: float, device: torch.device
) -> dict[str, Any]:
    tokens = options.batch * options.length
    limit = options.teraflops * 1e12 / _operations_per_token(config, options)
    is_gpu = device.type == "cuda"
    return {
        **{name: getattr(options, name) for name in ("size", "base", "policy", "batch", "length", "masked", "kernels")},
        "documents": options.documents,
        "layers": options.layers,
        "tokens_per_second": round(tokens / seconds),
        "milliseconds": round(seconds * 1e3, 2),
        "host_milliseconds": round(host * 1e3, 2),
        "share_of_limit": round(tokens / seconds / limit, 3),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if is_gpu else None,
        "reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2) if is_gpu else None,
        "workspace_gib": round(model.decoder.stack.space.num_bytes / 2**30, 2) if model.decoder else None,
        "device": torch.cuda.get_device_name() if is_gpu else "cpu",
    }


def _expected_peak(plan: RunPlan, options: argparse.Namespace, num_layers: int) -> int:
    """What the plan expects the allocator to count, without graphs."""
    counts = plan.layers or layer_counts(plan.recompute, num_layers)
    tokens = options.batch * options.length
    with_layers = plan.model_copy(update={"layers": counts if options.kernels == "auto" else None})
    return expected_peak(with_layers, MemoryFit(), options.batch, tokens).allocated


def _operations_per_token(config: Any, options: argparse.Namespace) -> float:
    """Products and attention without recompute: forward and the gradient of the input, frozen weights."""
    hidden, wide, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    head_dim = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
    queries, keys = config.num_attention_heads * head_dim, config.num_key_value_heads * head_dim
    linear = layers * (hidden * (2 * queries + 2 * keys) + 3 * hidden * wide)
    adapters = 16 * layers * (4 * hidden + 2 * queries + 2 * keys + queries + 3 * (hidden + wide))
    attention = 7 * options.length / options.documents * queries * layers
    head = 4 * config.vocab_size * hidden * (1 - options.masked)
    return float(4 * linear + 6 * adapters + attention + head)


def _profile(model: TrainingModel, optimizer: Optimizer, batch: MicroBatch) -> None:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as recorded:
        _step(model, optimizer, batch)
    averages = [
        one for one in recorded.key_averages() if one.self_device_time_total > 0 and one.self_cpu_time_total == 0
    ]
    averages.sort(key=lambda one: -one.self_device_time_total)
    total = sum(one.self_device_time_total for one in averages)
    print(f"{sum(one.count for one in averages)} kernels, {total / 1e3:.2f} ms on the device")
    for one in averages[:25]:
        share = one.self_device_time_total / total
        print(f"{one.self_device_time_total / 1e3:9.2f} ms {share:6.1%} {one.count:6d} x  {one.key[:100]}")


if __name__ == "__main__":
    main()
