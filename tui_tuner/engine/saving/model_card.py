"""The model card of a finished adapter: what it was made from, how, and what was measured."""

from tui_tuner.engine.saving.adapter_files import Provenance, base_name
from tui_tuner.events import RunState
from tui_tuner.plan import RunPlan
from tui_tuner.recipe import recipe_to_toml
from tui_tuner.redaction import redacted


def model_card(plan: RunPlan, state: RunState, provenance: Provenance) -> str:
    """Markdown with the front matter that hubs read."""
    table = "\n".join(f"| {name} | {value} |" for name, value in _rows(plan, state, provenance))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(provenance.versions.items()))
    is_full = plan.adapter.method == "full"
    library, tag, what = ("transformers", "full", "Fine-tuned") if is_full else ("peft", "lora", "Adapter for")
    card = f"""---
base_model: {base_name(plan)}
library_name: {library}
tags:
- {tag}
---

# {what} {plan.model.source.rstrip("/").rsplit("/", 1)[-1]}

| | |
|---|---|
{table}

Made with {versions}. `manifest.json` lists every trained tensor and the sha256 of each file.

## Recipe

```toml
{recipe_to_toml(plan.recipe).strip()}
```
"""
    return redacted(card)


def _rows(plan: RunPlan, state: RunState, provenance: Provenance) -> list[tuple[str, str]]:
    """What the table says: what it was made from, then what was measured."""
    adapter, data = plan.adapter, plan.data
    losses = state.losses.points
    rows = [
        ("Base model", f"`{plan.model.source}` ({plan.quantization}, {plan.dtype})"),
        ("Base fingerprint", f"`{provenance.base_fingerprint[:16]}`"),
        (
            "Trained",
            f"{adapter.num_trainable:,} of {adapter.num_total:,} parameters ({adapter.trainable_percent:.4f} %)",
        ),
        ("Method", _method(plan)),
        ("Data", f"{data.num_rows:,} rows, {data.num_evaluation_rows:,} held out, hash `{provenance.data_hash[:16]}`"),
        ("Chat template", f"{data.template}, hash `{provenance.template_hash[:16]}`"),
        ("Steps", f"{state.step:,} of {plan.schedule.total_steps:,}, {state.tokens:,} tokens"),
    ]
    if losses:
        rows.append(("Training loss", f"{losses[0][1]:.4f} at step {losses[0][0]}, {losses[-1][1]:.4f} at the end"))
    for one in state.evals[:1] + state.evals[-1:]:
        metrics = ", ".join(f"{name.replace('_', ' ')} {value:.1%}" for name, value in sorted(one.metrics.items()))
        rows.append((f"Held-out loss, step {one.step}", f"{one.loss:.4f} ({metrics})"))
    return rows


def _method(plan: RunPlan) -> str:
    adapter = plan.adapter
    if adapter.method == "full":
        return "full fine-tuning"
    saved = f", with {', '.join(adapter.modules_to_save)}" if adapter.modules_to_save else ""
    targets = ", ".join(adapter.target_names)
    return f"{plan.recipe.adapter.variant}, rank {adapter.rank}, alpha {adapter.alpha:g}, {targets}{saved}"
