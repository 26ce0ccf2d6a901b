from pathlib import Path

import pytest

from tui_tuner.hardware import probe_hardware, read_memory, visible_indices

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


def test_a_machine_can_be_probed_with_or_without_a_driver() -> None:
    hardware = probe_hardware()
    assert hardware.cpu_count >= 1
    assert [gpu.index for gpu in hardware.gpus] == list(range(len(hardware.gpus)))
