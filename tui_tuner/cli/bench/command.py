"""`tuner bench`: how fast a recipe trains on this machine, beside the machine's limit, the plan and other libraries."""

import time
from pathlib import Path
from typing import Annotated

import typer

from tui_tuner.cli.options import Overrides

NAME = "bench"
RecipeFile = Annotated[
    Path | None, typer.Argument(metavar="[RECIPE]", help="A recipe; the starter's if none.", show_default=False)
]
Shape = Annotated[
    str | None,
    typer.Option("--shape", metavar="SHAPE", help="A random model: 8b, 1b, 0.5b, small or tiny.", show_default=False),
]
Steps = Annotated[int, typer.Option("--steps", metavar="N", help="Steps that are timed.", min=1)]
WarmUp = Annotated[int, typer.Option("--warm-up", metavar="N", help="Steps before those.", min=1)]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there as JSON.", show_default=False)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FOLDER", help="Keep random models there; with --peers the tables and logs too.",
        show_default=False,
    ),
]  # fmt: skip
WithPeers = Annotated[bool, typer.Option("--peers", help="Compare with HF + PEFT, Liger-Kernel and Unsloth.")]
CaseNames = Annotated[
    list[str] | None,
    typer.Option("--case", metavar="CASE", help="With --peers: 8b-bf16-keep, 1b, real-1b, context, all, ...",
                 show_default=False),
]  # fmt: skip
PeerNames = Annotated[
    list[str] | None,
    typer.Option("--peer", metavar="PEER", help="With --peers: only hf, liger or unsloth.", show_default=False),
]
Pythons = Annotated[
    list[str] | None,
    typer.Option("--peer-python", metavar="PEER=COMMAND", help="The Python that has a peer, if it is another one.",
                 show_default=False),
]  # fmt: skip
Model = Annotated[
    Path | None,
    typer.Option("--model", metavar="FOLDER", help="With --peers: this model instead of a random one.",
                 show_default=False),
]  # fmt: skip
Lengths = Annotated[
    Path | None,
    typer.Option("--lengths", metavar="FILE", help="With --peers: row lengths, .npz or .jsonl.", show_default=False),
]
IsExact = Annotated[bool, typer.Option("--exact", help="With --peers: check against HF + PEFT in float32.")]
Rounds = Annotated[int, typer.Option("--rounds", metavar="N", help="With --peers: turns of each system.", min=1)]


def command(
    recipe: RecipeFile = None,
    shape: Shape = None,
    overrides: Overrides = None,
    steps: Steps = 10,
    warm_up: WarmUp = 4,
    json_file: JsonFile = None,
    out: Out = None,
    peers: WithPeers = False,
    case: CaseNames = None,
    peer: PeerNames = None,
    peer_python: Pythons = None,
    model: Model = None,
    lengths: Lengths = None,
    exact: IsExact = False,
    rounds: Rounds = 1,
) -> None:
    """Measure training steps on this machine; nothing is kept unless asked.

    With --peers, other libraries take the same steps in turns, and no speed counts before loss and gradients agree.
    """
    began = time.perf_counter()
    from tui_tuner.cli.bench.asked import Asked, own_request
    from tui_tuner.cli.bench.showing import show_bench, show_comparison

    asked = Asked(
        recipe=recipe,
        shape=shape,
        overrides=tuple(overrides or ()),
        steps=steps,
        warm_up=warm_up,
        out=out,
        cases=tuple(name for text in case or () for name in text.split(",")),
        peers=tuple(name for text in peer or () for name in text.split(",")),
        pythons=tuple(peer_python or ()),
        model=model,
        lengths=lengths,
        is_exact=exact,
        rounds=rounds,
    )
    if peers:
        show_comparison(asked, json_file)
    else:
        show_bench(own_request(asked), json_file, began)
