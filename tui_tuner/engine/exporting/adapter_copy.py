"""A copy of an adapter's folder to hand on: checked, with a card, and with the hash of every file."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from tui_tuner.engine.exporting.side_files import write_card
from tui_tuner.engine.exporting.source import ExportSource
from tui_tuner.engine.exporting.target_folder import new_folder, write_ledger
from tui_tuner.engine.saving.adapter_files import CONFIG, MANIFEST, WEIGHTS
from tui_tuner.engine.saving.files import file_hash
from tui_tuner.errors import MachineError
from tui_tuner.exports import ExportEvent, ExportFinished, ExportKind, ExportProof, ProofCheck, ServeCommand

COPIED = (
    WEIGHTS, CONFIG, MANIFEST, "README.md", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "tokenizer.model", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
)  # fmt: skip
"""What an adapter's folder holds for others; optimizer states and pickles stay behind."""
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM's --max-lora-rank may have."""


def copied_files(source: ExportSource) -> tuple[Path, ...]:
    return tuple(source.folder / name for name in COPIED if (source.folder / name).is_file())


def export_adapter(source: ExportSource, folder: Path, facts: dict[str, object]) -> Iterator[ExportEvent]:
    """Copy, compare hashes, publish.

    Raises:
        MachineError: a copy is not the original, or the disk is full.
    """
    began = time.perf_counter()
    with new_folder(folder) as building:
        for path in copied_files(source):
            shutil.copyfile(path, building / path.name)
            if file_hash(building / path.name) != file_hash(path):
                raise MachineError(f"The copy of {path} is not what it was copied from.", "Check the disk.")
        if not (building / "README.md").is_file():
            write_card(source, building, "peft", "lora", [("Base model", f"`{source.base_name}`")])
        check = ProofCheck(claim="every file is the original", passed=True, found=f"{len(copied_files(source))} hashes")
        yield ExportProof(export=ExportKind.ADAPTER, passed=True, checks=(check,), message=check.found)
        files = write_ledger(building, ExportKind.ADAPTER, facts)
    rank = source.weights.largest_rank if source.weights else 0
    yield ExportFinished(
        export=ExportKind.ADAPTER,
        folder=str(folder),
        files=files,
        commands=adapter_commands(source.base_name, folder, rank),
        seconds=time.perf_counter() - began,
    )


def adapter_commands(base: str, folder: Path, rank: int) -> tuple[ServeCommand, ...]:
    rank = next((one for one in VLLM_RANKS if one >= rank), rank)
    served = f"vllm serve {quote(base)} --enable-lora --max-lora-rank {rank} --lora-modules tuned={quote(str(folder))}"
    return (
        ServeCommand(program="tuner", command=f"tuner chat {quote(str(folder))}"),
        ServeCommand(program="vLLM", command=served),
    )
