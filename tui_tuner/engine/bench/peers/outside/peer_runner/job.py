"""What one process is asked to measure, and what it answers: two JSON files. The standard library only."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

Status = Literal["done", "absent", "out of memory", "failed"]
Base = Literal["bf16", "nf4", "fp8", "f32"]
Recompute = Literal["off", "on", "offload", "auto"]
# "offload" is ours alone: inputs of layers wait in host memory, as they do in Unsloth whenever it recomputes.
Way = Literal["in order", "grouped", "packed", "trainer's default", "trainer's packing"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One system, one setting."""

    system: str
    """A name of `systems`, or "tuner"."""
    model: str
    base: Base
    recompute: Recompute
    device: Literal["cpu", "cuda"]
    rows: str
    """.npz: `ids` and `trained` of all rows end to end, `lengths`."""
    adapter: str
    """.safetensors with the adapters' first values, by names such as "model.layers.0.self_attn.q_proj.lora_A"."""
    result: str
    gradients: str = ""
    """.safetensors that takes the gradients of the check; empty: they are not written."""
    rank: int = 16
    alpha: int = 16
    way: Way = "in order"
    rows_per_batch: int = 1
    accumulation: int = 1
    max_length: int = 2048
    check_rows: int = 0
    """So many rows make the batch whose loss and gradients are compared, before anything is timed."""
    in_float32: bool = False
    """Hugging Face alone: compute in float32 with the same weights, which is exact beside 16 bits."""
    warm_up: int = 3
    steps: int = 8
    """0: nothing is timed."""
    memory_limit: int = 0
    """Bytes that the allocator may hold; 0 for all there is."""
    started: float = 0.0
    """`time.time()` when the process was asked for."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was measured. Bytes and seconds."""

    status: Status
    reason: str = ""
    check_loss: float | None = None
    seconds: tuple[float, ...] = ()
    """Of each timed step."""
    tokens: tuple[int, ...] = ()
    """Of each timed step, without padding."""
    padded_tokens: tuple[int, ...] = ()
    """The same with padding."""
    first_step_seconds: float | None = None
    """From the start of the process to the end of its first step."""
    load_seconds: float | None = None
    peak_bytes: int | None = None
    """The allocator's, over the timed steps; ours over all steps, for it does not see into a CUDA graph."""
    reserved_bytes: int | None = None
    device_bytes: int | None = None
    """Memory of the GPU that was in use at the end, less what was when the process had only its context."""
    num_trainable: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    note: str = ""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_job(path: Path) -> Job:
    return Job(**json.loads(path.read_text(encoding="utf-8")))


def read_answer(path: Path) -> Answer:
    answer = Answer(**json.loads(path.read_text(encoding="utf-8")))
    lists = {name: tuple(getattr(answer, name)) for name in ("seconds", "tokens", "padded_tokens")}
    return replace(answer, **lists)  # type: ignore[arg-type]
