"""Chat with a base model, or with the base and a tuned adapter side by side. Loads through PEFT, as any user would."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from tui_tuner.data.rendering.template_choice import PromptRenderer, choose_template
from tui_tuner.data.rows import Message
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer
from tui_tuner.engine.fp8_base import hold_in_fp8
from tui_tuner.engine.generation import stream_tokens
from tui_tuner.engine.library_output import library_output_to
from tui_tuner.engine.loading import first_line, load_module
from tui_tuner.engine.proof import read_back
from tui_tuner.engine.saving.adapter_files import CONFIG, MANIFEST
from tui_tuner.errors import AdapterError, MachineError, RunError
from tui_tuner.journal import find_run
from tui_tuner.places import path_of
from tui_tuner.planning.model_source import locate_model
from tui_tuner.recipe import ModelSection


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are chosen."""

    max_tokens: int
    temperature: float
    """0 is greedy."""
    top_p: float = 0.95
    """The most likely tokens that together have this probability are drawn from."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Chat:
    """A loaded model that answers, with its adapter or without."""

    module: Any
    tokenizer: TextTokenizer
    prompts: PromptRenderer
    stop_ids: tuple[int, ...]
    has_adapter: bool
    description: str
    base_name: str
    template: str
    """Where the chat template comes from, in words."""
    device: str

    def reply(
        self, messages: Sequence[dict[str, str]], *, tuned: bool, max_tokens: int, temperature: float, seed: int = 0
    ) -> Iterator[str]:
        """Stream the answer to a conversation that ends with a user's turn, as pieces of text.

        Args:
            tuned: answer with the adapter; without one this changes nothing.
            temperature: 0 is greedy.
        """
        turns = [Message(role=message["role"], content=message["content"]) for message in messages]
        how = Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed)
        answer = self.begin(turns, how, tuned=tuned)
        while not answer.stop:
            yield answer.advance()

    def begin(self, messages: Sequence[Message], how: Sampling, *, tuned: bool) -> "LiveAnswer":
        """An answer that grows by `advance`. Several may grow in turn; what one draws does not touch the others."""
        return LiveAnswer(self, self.prompts.prompt_ids(list(messages)), how, is_tuned=tuned)

    def answering_as(self, tuned: bool) -> AbstractContextManager[Any]:
        return self.module.disable_adapter() if self.has_adapter and not tuned else nullcontext()


class LiveAnswer:
    """One answer, as far as it was written."""

    def __init__(self, chat: Chat, prompt: Sequence[int], how: Sampling, *, is_tuned: bool) -> None:
        generator = torch.Generator(chat.module.get_input_embeddings().weight.device).manual_seed(how.seed)
        self._chat, self._how, self._is_tuned = chat, how, is_tuned
        self._tokens = stream_tokens(
            chat.module, prompt, chat.stop_ids, how.max_tokens, how.temperature, how.top_p, generator
        )
        self._written: list[int] = []
        self._shown = ""
        self.num_prompt_tokens = len(prompt)
        self.seconds = 0.0
        """Spent on this answer alone."""
        self.stop: Literal["", "end", "length"] = ""
        """Why it ended: the model ended its turn, or the limit did; empty while it grows."""

    @property
    def num_tokens(self) -> int:
        return len(self._written)

    def advance(self, seconds: float = 0.0) -> str:
        """Write at least one token, and on for so long; returns the text that came to it.

        Raises:
            MachineError: the GPU's memory is full.
        """
        begun = time.monotonic()
        with _told_of_full_memory(), self._chat.answering_as(self._is_tuned):
            while not self.stop:
                token = next(self._tokens, None)
                if token is None:
                    self.stop = "end" if self.num_tokens < self._how.max_tokens else "length"
                else:
                    self._written.append(token)
                if time.monotonic() - begun >= seconds:
                    break
        self.seconds += time.monotonic() - begun
        return self._fresh_text()

    def _fresh_text(self) -> str:
        text = self._chat.tokenizer.decode(self._written, skip_special_tokens=True)
        # Half a character waits for its other half.
        fresh = text.rstrip("\N{REPLACEMENT CHARACTER}")[len(self._shown) :]
        self._shown += fresh
        return fresh


def open_chat(source: str, runs_folder: str = "runs", device: str = "auto") -> Chat:
    """Load what `source` names: a run, a folder with an adapter, or a model (folder, cached name or hub id).

    Raises:
        RunError: a run of that name has no adapter yet.
        AdapterError, ModelError: the adapter or its base cannot be loaded.
        MachineError: the GPU's memory is full.
    """
    folder = _result_folder(source, Path(runs_folder))
    adapter = folder if folder and (folder / CONFIG).is_file() else None
    base_name, quantization = _base_of(adapter) if adapter else (str(folder or source), "none")
    located = locate_model(ModelSection(source=base_name, name_mapping="off"))
    if located.folder is None:
        raise AdapterError(f"The base model {base_name} is not on this machine.", "Connect to the network once.")
    on_gpu = torch.cuda.is_available() if device == "auto" else device == "cuda"
    with library_output_to(None), _told_of_full_memory():
        module = _load(located.folder, adapter, quantization, on_gpu=on_gpu)
    has_tokenizer = adapter is not None and (adapter / "tokenizer.json").is_file()
    tokenizer = load_text_tokenizer(adapter if adapter is not None and has_tokenizer else located.folder)
    template = choose_template("auto", tokenizer)
    return Chat(
        module=module.eval(),
        tokenizer=tokenizer,
        prompts=PromptRenderer(template, tokenizer),
        stop_ids=_stop_ids(tokenizer, adapter, located.folder),
        has_adapter=adapter is not None,
        description=f"{base_name} with {adapter}" if adapter else base_name,
        base_name=base_name,
        template=template.description,
        device="cuda" if on_gpu else "cpu",
    )


def _load(base: Path, adapter: Path | None, quantization: str, *, on_gpu: bool) -> nn.Module:
    """The base as it was held in training, with the adapter on it."""
    device, dtype = ("cuda", torch.bfloat16) if on_gpu else ("cpu", torch.float32)
    nf4_compute = dtype if quantization == "nf4" else None
    module = load_module(base, torch.device(device), dtype, nf4_compute=nf4_compute, remote_code=False)
    if quantization == "fp8":
        hold_in_fp8(module)
    return module if adapter is None else read_back(module, adapter)


@contextmanager
def _told_of_full_memory() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise MachineError(
            "The GPU's memory is full.", "`tuner doctor` says who holds it; a shorter conversation needs less."
        ) from error


def _result_folder(source: str, runs_folder: Path) -> Path | None:
    """The adapter or the fully trained model that is meant; None where the source is the name of a model."""
    folder = path_of(source)
    if (folder / CONFIG).is_file() or (folder / "config.json").is_file():
        return folder
    try:
        run = find_run(source, runs_folder)
    except RunError:
        if folder.exists() or "/" not in source:
            raise
        return None  # A name with a slash that is no run is a hub id.
    for result in (run / "adapter", run / "model"):
        if result.is_dir():
            return result
    raise RunError(f"Run {run.name} has no adapter yet.", "Let it finish, or name one of its checkpoints.")


def _base_of(adapter: Path) -> tuple[str, str]:
    """The base model's name, and how it was held in training."""
    try:
        config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
        manifest = json.loads((adapter / MANIFEST).read_text(encoding="utf-8")) if _has_manifest(adapter) else {}
        return str(config["base_model_name_or_path"]), str(manifest.get("base", {}).get("quantization", "none"))
    except (ValueError, KeyError) as error:
        raise AdapterError(f"{adapter / CONFIG} cannot be read: {first_line(error)}.") from error


def _has_manifest(adapter: Path) -> bool:
    return (adapter / MANIFEST).is_file()


def _stop_ids(tokenizer: TextTokenizer, adapter: Path | None, base_folder: Path) -> tuple[int, ...]:
    """The tokens that ended trained turns where the adapter tells them, and those of the base's own generation."""
    stop_ids = [*tokenizer.stop_ids, *load_text_tokenizer(base_folder).stop_ids]
    if adapter is not None and _has_manifest(adapter):
        stop_ids += json.loads((adapter / MANIFEST).read_text(encoding="utf-8")).get("end_of_turn_ids", [])
    return tuple(dict.fromkeys(stop_ids))
