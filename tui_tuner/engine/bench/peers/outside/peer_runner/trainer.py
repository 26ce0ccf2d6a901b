"""Unsloth through the trainer that its guides use, TRL's SFTTrainer: padding-free, its default, or packed."""

import time
from pathlib import Path
from typing import Any

from .device import now, read_memory, reset_peak
from .job import Answer, Job
from .rows import Rows


def train_with_own_trainer(model: Any, rows: Rows, job: Job, before: int) -> Answer:
    """The timed steps of one short training run; its files go into the folder of the job's result."""
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        output_dir=str(Path(job.result).parent / "trainer"), per_device_train_batch_size=job.rows_per_batch,
        gradient_accumulation_steps=job.accumulation, max_steps=job.warm_up + job.steps, learning_rate=1e-4, bf16=True,
        logging_steps=100000, save_strategy="no", report_to="none", max_length=job.max_length,
        packing=job.way == "trainer's packing", completion_only_loss=True, dataset_num_proc=1,
        optim="adamw_torch_fused", seed=0,
    )  # fmt: skip
    trainer = SFTTrainer(
        model=model,
        processing_class=AutoTokenizer.from_pretrained(job.model),
        train_dataset=_data_set(rows, job.max_length),
        args=config,
    )
    clock = _Clock(job, before)
    inner = trainer.data_collator

    def collate(examples: Any) -> Any:
        batch = inner(examples)
        clock.count(batch)
        return batch

    trainer.data_collator = collate
    trainer.add_callback(clock.callback())
    trainer.train()
    return clock.answer()


def _data_set(rows: Rows, max_length: int) -> Any:
    from datasets import Dataset

    return Dataset.from_list(
        [
            {"input_ids": ids[:max_length].tolist(), "completion_mask": trained[:max_length].long().tolist()}
            for ids, trained in zip(rows.ids, rows.trained, strict=True)
        ]
    )


class _Clock:
    """Times the trainer's steps, from beginning to end of each."""

    def __init__(self, job: Job, before: int) -> None:
        self.job, self.before = job, before
        self.seconds: list[float] = []
        self.real: list[int] = []
        self.padded: list[int] = []
        self.first_step_seconds: float | None = None
        self.began = 0.0

    def count(self, batch: Any) -> None:
        """A micro-batch was laid out; the trainer may do so ahead of the step that takes it."""
        ids, mask = batch["input_ids"], batch.get("attention_mask")
        self.padded.append(int(ids.numel()))
        self.real.append(int(ids.numel()) if mask is None else int(mask.ne(0).sum()))

    def callback(self) -> Any:
        from transformers import TrainerCallback

        clock = self

        class Callback(TrainerCallback):
            def on_step_begin(self, *_: Any, **__: Any) -> None:
                clock.began = now(clock.job.device)

            def on_step_end(self, *_: Any, **__: Any) -> None:
                clock.seconds.append(now(clock.job.device) - clock.began)
                clock.first_step_seconds = clock.first_step_seconds or time.time() - clock.job.started
                if len(clock.seconds) == clock.job.warm_up:
                    reset_peak(clock.job.device)

        return Callback()

    def answer(self) -> Answer:
        memory, skipped = read_memory(self.job.device, self.before), self.job.warm_up
        return Answer(
            status="done",
            seconds=tuple(self.seconds[skipped:]),
            tokens=tuple(self._a_step(self.real)[skipped : len(self.seconds)]),
            padded_tokens=tuple(self._a_step(self.padded)[skipped : len(self.seconds)]),
            first_step_seconds=self.first_step_seconds,
            peak_bytes=memory.peak,
            reserved_bytes=memory.reserved,
            device_bytes=memory.device,
        )

    def _a_step(self, counts: list[int]) -> list[int]:
        each = self.job.accumulation
        return [sum(counts[start : start + each]) for start in range(0, len(counts), each)]
