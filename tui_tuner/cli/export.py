"""`tuner export`: makes of a run or an adapter what others can load, and proves that it is the same."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER, AsJson, RunsFolder

if TYPE_CHECKING:
    from tui_tuner.exports import ExportRequest

NAME = "export"
Source = Annotated[
    str, typer.Argument(metavar="RUN|ADAPTER|MODEL", help="A run, an adapter folder or a model folder.",
                        show_default=False),
]  # fmt: skip
Kinds = Annotated[
    list[str],
    typer.Option(
        "--to", metavar="KIND[,KIND]", help="adapter, merged, gguf, lora-gguf, ollama, hub.", show_default=False
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Where it goes; beside the adapter if not given.", show_default=False),
]
Quantization = Annotated[
    str, typer.Option("--quantization", metavar="TYPE", help="Of GGUF: f32, f16, bf16, q8_0; q4_k_m and others "
                      "through llama-quantize.")
]  # fmt: skip
Base = Annotated[
    str, typer.Option("--base", metavar="BASE", help="Merge into 16bit, dequantised, or auto: the one with less loss.")
]
BaseModel = Annotated[
    str | None,
    typer.Option("--base-model", metavar="MODEL", help="The base, where it is not found by its name.",
                 show_default=False),
]  # fmt: skip
Repository = Annotated[str | None, typer.Option("--repo", metavar="OWNER/NAME", help="For hub.", show_default=False)]
IsPublic = Annotated[bool, typer.Option("--public", help="For hub: anyone can read it.")]
Replaces = Annotated[bool, typer.Option("--replace", help="Write an earlier export in the same place anew.")]
AcceptsTemplate = Annotated[
    bool, typer.Option("--accept-template", help="For ollama: although its template cannot be made equal.")
]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="Of the proof: auto, cpu or cuda.")]
IsDryRun = Annotated[bool, typer.Option("--dry-run", help="List what would be written, and where; write nothing.")]


def command(
    source: Source,
    to: Kinds,
    out: Out = None,
    quantization: Quantization = "q8_0",
    base: Base = "auto",
    base_model: BaseModel = None,
    repo: Repository = None,
    public: IsPublic = False,
    replace: Replaces = False,
    accept_template: AcceptsTemplate = False,
    device: Device = "auto",
    dry_run: IsDryRun = False,
    folder: RunsFolder = DEFAULT_RUNS_FOLDER,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make files that other programs load, and prove what is in them.

    Everything is listed and checked first, and appears only when it is whole.
    """
    request = _request(
        source=source,
        kinds=[kind for text in to for kind in text.split(",")],
        out=None if out is None else str(out),
        quantization=quantization.lower(),
        base=base,
        base_model=base_model,
        repository=repo,
        is_private=not public,
        replaces=replace,
        accepts_template=accept_template,
        device=device,
        runs_folder=str(folder),
    )
    from tui_tuner.engine.exporting.export import export

    if as_json:
        from tui_tuner.cli.terminal import print_line

        for event in export(request, is_dry_run=dry_run):
            print_line(event.model_dump_json())
        return
    from tui_tuner.cli.views.exporting import ExportLines

    lines = ExportLines(is_moving=sys.stderr.isatty())
    for event in export(request, is_dry_run=dry_run):
        lines.show(event)


def _request(**values: Any) -> "ExportRequest":
    """Raises RecipeError naming each option that is wrong."""
    from pydantic import ValidationError

    from tui_tuner.errors import Problem, RecipeError
    from tui_tuner.exports import ExportRequest

    try:
        return ExportRequest.model_validate(values)
    except ValidationError as error:
        options = {"kinds": "to", "repository": "repo"}
        problems = [
            Problem(
                path=f"--{options.get(str(one['loc'][0]), str(one['loc'][0])).replace('_', '-')}",
                message=f"is {one['input']!r}; {one['msg'].removeprefix('Input should be ')} is allowed",
            )
            for one in error.errors()
        ]
        raise RecipeError(problems, "the command") from error
