from pathlib import Path

import pytest

from tui_tuner.hardware import probe_hardware, read_memory, visible_indices, within_limit

UUIDS = ["GPU-aa11", "GPU-ab22", "GPU-cc33"]


@pytest.mark.parametrize(
    ("setting", "visible"),
    [
        (None, (0, 1, 2)),
        ("", ()),
        ("2,0", (2, 0)),
        ("0,9,1", (0,)),
        ("-1", ()),
        ("GPU-cc", (2,)),
        ("GPU-a", ()),
        ("GPU-ab22, 0", (1, 0)),
        ("1,1", (1,)),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(setting: str | None, visible: tuple[int, ...]) -> None:
    assert visible_indices(3, UUIDS, setting) == visible


def test_memory_comes_from_meminfo(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16 kB\nMemFree: 1 kB\nMemAvailable:    8 kB\nHugePages_Total: 0\n")
    assert read_memory(meminfo) == (16 * 1024, 8 * 1024)


def test_a_system_without_meminfo_is_no_error(tmp_path: Path) -> None:
    assert read_memory(tmp_path / "none") == (0, 0)


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_holds_where_it_is_lower(tmp_path: Path, version: int) -> None:
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file")
    limit, used = tmp_path / names[0], tmp_path / names[1]
    limit.parent.mkdir(exist_ok=True)
    limit.write_text("1000\n")
    used.write_text("700\n")
    limit.with_name("memory.stat").write_text(f"anon 300\n{names[2]} 250\n")
    assert within_limit((5000, 4000), tmp_path) == (1000, 550)
    assert within_limit((5000, 400), tmp_path) == (1000, 400)
    assert within_limit((900, 400), tmp_path) == (900, 400)


@pytest.mark.parametrize("limit", ["max", None])
def test_without_a_limit_memory_is_the_systems(tmp_path: Path, limit: str | None) -> None:
    for name, text in (("memory.max", limit), ("memory.current", "7"), ("memory.stat", "anon 3")):
        if limit is not None:
            (tmp_path / name).write_text(str(text))
    assert within_limit((5000, 4000), tmp_path) == (5000, 4000)


def test_a_machine_can_be_probed_with_or_without_a_driver() -> None:
    hardware = probe_hardware()
    assert hardware.cpu_count >= 1
    assert [gpu.index for gpu in hardware.gpus] == list(range(len(hardware.gpus)))
