"""`tuner doctor`: looks at everything a run needs, and says how to mend what is missing."""

import typer

from tui_tuner.cli.options import AsJson

NAME = "doctor"
EXIT_FAILED_CHECK = 1


def command(as_json: AsJson = False) -> None:
    """Check what a run needs: versions, GPU, disk, cache."""
    import dataclasses

    from tui_tuner.cli.checks import all_checks
    from tui_tuner.cli.terminal import print_json, show

    checks = all_checks()
    if as_json:
        print_json([dataclasses.asdict(check) for check in checks])
    else:
        from tui_tuner.cli.views.check_list import check_list_view

        show(check_list_view(checks))
    raise typer.Exit(EXIT_FAILED_CHECK if any(check.status == "fail" for check in checks) else 0)
