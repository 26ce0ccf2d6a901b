"""Every kernel that is launched anywhere compiles for a GPU, which Triton's interpreter does not tell."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tui_tuner import kernels

LAUNCH = re.compile(r"^ +(_\w+)\[\w*[(\w]", re.MULTILINE)
CONSUMER_SHARED_BYTES = 99 * 1024
"""What a program may have on GPUs of compute capability 8.6, 8.9 and 12.0; a Hopper GPU gives 227 KiB."""
EITHER = re.compile(r"\((_\w+) if .+ else (_\w+)\)\[")


def launched() -> set[tuple[str, str]]:
    """Module and name of each kernel, by the way that launches are written."""
    folder = Path(kernels.__file__).parent
    found = set()
    for file in folder.rglob("*.py"):
        text, module = file.read_text(encoding="utf-8"), ".".join(file.relative_to(folder).with_suffix("").parts)
        names = [*LAUNCH.findall(text), *(name for pair in EITHER.findall(text) for name in pair)]
        found |= {(f"{kernels.__name__}.{module}", name) for name in names if f"def {name}(" in text}
    return found


def test_every_kernel_compiles_for_a_gpu_and_leaves_room_on_smaller_ones() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.kernels.compiling"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    compiled = [line.split() for line in done.stdout.splitlines()]
    assert len(launched()) > 20
    assert launched() - {(module, name) for module, name, _ in compiled} == set()
    assert [kernel for kernel in compiled if int(kernel[2]) > CONSUMER_SHARED_BYTES] == []
