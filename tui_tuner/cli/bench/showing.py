"""Carries a bench out and shows it: what is done now on standard error, the figures on standard output."""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from tui_tuner.cli.bench.asked import Asked, comparison_request
from tui_tuner.cli.failures import note
from tui_tuner.cli.terminal import print_line, show
from tui_tuner.engine.bench.request import BenchRequest
from tui_tuner.errors import MachineError, RunError


def show_bench(request: BenchRequest, json_file: Path | None, began: float) -> None:
    """`began`: `time.perf_counter()` of the command's start, from which the first step is counted.

    Raises:
        TunerError: as the bench does; MachineError where the file cannot be written.
    """
    _check_writable(json_file)
    from tui_tuner.cli.views.bench import bench_view
    from tui_tuner.engine.bench.recipe_bench import bench

    with _ending_on_signals():
        for said in bench(replace(request, seconds_before=time.perf_counter() - began)):
            if isinstance(said, str):
                note(said)
                continue
            show(bench_view(said))
            if json_file is not None:
                _write(json_file, said.model_dump_json(indent=1) + "\n")


def show_comparison(asked: Asked, json_file: Path | None) -> None:
    """What is to be kept is written after each case, so that a case that fails loses none before it.

    Raises:
        TunerError: as the comparison does; MachineError where a file cannot be written.
    """
    _check_writable(json_file)
    with _ending_on_signals(), _folder(asked.out) as folder:
        request = comparison_request(asked, folder)
        from tui_tuner.engine.bench.peers.comparison import compare
        from tui_tuner.engine.bench.peers.table import markdown, merged, read_tables, tables_json

        try:
            tables = read_tables(folder / "peers.json")
        except ValueError as error:
            raise RunError(f"{folder / 'peers.json'} is no table of tuner.", "Choose another --out.") from error
        for said in compare(request):
            if isinstance(said, str):
                note(said)
                continue
            print_line(markdown(said))
            tables = merged(tables, said)
            _write(folder / "peers.json", tables_json(tables))
            _write(folder / "peers.md", "\n".join(markdown(one) for one in tables))
            if json_file is not None:
                _write(json_file, tables_json(tables))


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Where a comparison works: the folder that is kept, or one that is gone afterwards."""
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(f"{out} cannot be made: {error.strerror}.", "Choose another --out.") from error
        yield out.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as folder:
        yield Path(folder)


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """A TERM signal and a hang-up end the command as Ctrl-C does: its processes and temporary files go with it."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    # nohup ignores hang-ups, and whoever asked for that meant it.
    handled = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, end) for one in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_writable(path: Path | None) -> None:
    """Before minutes of work, not after them."""
    if path is not None and not path.absolute().parent.is_dir():
        raise MachineError(f"{path} cannot be written: there is no such folder.", "Choose another --json.")


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise MachineError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from error
