"""`tuner doctor`: looks at everything a run needs, and says how to mend what is missing."""

from typing import Annotated

import typer

from tui_tuner.cli.options import AsJson

NAME = "doctor"
EXIT_FAILED_CHECK = 1
Kernels = Annotated[
    bool, typer.Option("--kernels", help="Run the compute kernels on this GPU and compare them with exact arithmetic.")
]


def command(kernels: Kernels = False, as_json: AsJson = False) -> None:
    """Check what a run needs: versions, GPU and who holds it, disk, terminal, session."""
    raise typer.Exit(0 if (_kernels_pass(as_json) if kernels else _machine_passes(as_json)) else EXIT_FAILED_CHECK)


def _machine_passes(as_json: bool) -> bool:
    import dataclasses

    from tui_tuner.cli.terminal import print_json, show
    from tui_tuner.diagnosis.all_checks import iter_checks, these_surroundings

    checks = tuple(iter_checks(these_surroundings()))
    if as_json:
        print_json([dataclasses.asdict(check) for check in checks])
    else:
        from tui_tuner.cli.views.check_list import check_list_view

        show(check_list_view(checks))
    return all(check.status != "fail" for check in checks)


def _kernels_pass(as_json: bool) -> bool:
    import dataclasses
    import math

    from tui_tuner.cli.terminal import print_json, show
    from tui_tuner.engine.checks.kernels import check_kernels

    checks = tuple(check_kernels())
    if as_json:
        rows = [dataclasses.asdict(check) | {"passed": check.passed} for check in checks]
        print_json([row | {"error": None if math.isnan(row["error"]) else row["error"]} for row in rows])
    else:
        from tui_tuner.cli.views.kernel_table import kernel_table_view

        show(kernel_table_view(checks))
    return all(check.passed for check in checks)
