"""A folder that `ollama create` takes: a GGUF file and its Modelfile."""

import time
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer
from tui_tuner.engine.exporting.gguf_files.export import write_checked
from tui_tuner.engine.exporting.gguf_files.writing import GgufLayout
from tui_tuner.engine.exporting.model_weights import ModelWeights
from tui_tuner.engine.exporting.ollama.derivation import PROBES, DerivedTemplate, derive_template
from tui_tuner.engine.exporting.side_files import write_gguf_card
from tui_tuner.engine.exporting.source import ExportSource
from tui_tuner.engine.exporting.target_folder import new_folder, write_ledger
from tui_tuner.errors import DataError
from tui_tuner.exports import (
    ExportEvent,
    ExportFinished,
    ExportKind,
    ExportProof,
    ExportWarning,
    ProofCheck,
    ServeCommand,
)
from tui_tuner.planning.json_files import read_json_object

MODELFILE = "Modelfile"
SAMPLING = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k"}
"""Fields of generation_config.json and what Ollama calls them."""


def ollama_template(source: ExportSource, *, accepts_unequal: bool) -> DerivedTemplate:
    """The Go template, before anything is written.

    Raises:
        DataError: it cannot be made equal to the chat template, and that is not accepted.
    """
    derived = derive_template(text_tokenizer(source))
    if derived.problems and not accepts_unequal:
        raise DataError(
            f"Ollama's template cannot say what the chat template says: {derived.problems[0]}.",
            "Serve the GGUF with llama.cpp, which takes the chat template itself; or give --accept-template.",
        )
    return derived


def export_ollama(
    source: ExportSource,
    template: DerivedTemplate,
    gguf: tuple[GgufLayout, ModelWeights, str],
    folder: Path,
    facts: dict[str, object],
) -> Iterator[ExportEvent]:
    """Write the GGUF and the Modelfile, and publish both.

    Raises:
        TrainingError, MachineError, AdapterError: as for gguf.
    """
    began = time.perf_counter()
    with new_folder(folder) as building:
        layout, weights, quantization = gguf
        name = yield from write_checked(building, layout, weights, quantization, ExportKind.OLLAMA)
        yield _proof(template)
        for remark in template.remarks:
            yield ExportWarning(
                export=ExportKind.OLLAMA, message=f"Ollama's template differs for {remark}: Go cannot trim."
            )
        write_gguf_card(source, building, quantization)
        (building / MODELFILE).write_text(modelfile(source, template, name), encoding="utf-8")
        files = write_ledger(building, ExportKind.OLLAMA, facts)
    model = source.name.lower()
    yield ExportFinished(
        export=ExportKind.OLLAMA,
        folder=str(folder),
        files=files,
        commands=(
            ServeCommand(program="Ollama", command=f"ollama create {model} -f {quote(str(folder / MODELFILE))}"),
            ServeCommand(program="Ollama", command=f"ollama run {model}"),
        ),
        seconds=time.perf_counter() - began,
    )


def modelfile(source: ExportSource, template: DerivedTemplate, gguf: str) -> str:
    """The text of the Modelfile."""
    tokenizer = text_tokenizer(source)
    lines = [f"FROM ./{gguf}", f'TEMPLATE """{template.text}"""']
    lines += [f"PARAMETER stop {_quoted(stop)}" for stop in stop_texts(source, tokenizer)]
    path = source.base_folder / "generation_config.json"
    sampling = read_json_object(path, path.name) if path.is_file() else {}
    lines += [
        f"PARAMETER {name} {sampling[field]}"
        for field, name in SAMPLING.items()
        if isinstance(sampling.get(field), int | float)
    ]
    plan = source.run.plan if source.run else None
    if plan is not None:
        lines.append(f"PARAMETER num_ctx {max(plan.data.max_length, 2048)}")
    return "\n".join(lines) + "\n"


def stop_texts(source: ExportSource, tokenizer: TextTokenizer) -> tuple[str, ...]:
    """The tokens at which an answer ends, as text."""
    ids = dict.fromkeys((*source.stop_ids, *tokenizer.stop_ids, *load_text_tokenizer(source.base_folder).stop_ids))
    texts = {number: token for token, number in tokenizer.added_tokens.items()}
    return tuple(texts[one] for one in ids if one in texts)


def text_tokenizer(source: ExportSource) -> TextTokenizer:
    """The one that the adapter was trained with."""
    has_own = (source.folder / "tokenizer.json").is_file()
    return load_text_tokenizer(source.folder if has_own else source.base_folder)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _proof(template: DerivedTemplate) -> ExportProof:
    equal = len(PROBES) - len(template.problems)
    check = ProofCheck(
        claim="the Modelfile's template gives the tokens of the chat template",
        passed=not template.problems,
        found=template.problems[0] if template.problems else f"{equal} of {len(PROBES)} probe chats, token for token",
    )
    return ExportProof(export=ExportKind.OLLAMA, passed=check.passed, checks=(check,), message=check.found)
