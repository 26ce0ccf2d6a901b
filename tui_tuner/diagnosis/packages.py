"""The packages: there, in the range that tuner was made for, and made for each other and for the GPU."""

import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from tui_tuner.diagnosis.check import Check, Status
from tui_tuner.diagnosis.gpu_driver import Driver
from tui_tuner.hardware import Hardware

NEEDED_PACKAGES = ("torch", "transformers", "peft", "tokenizers", "safetensors")
CUDA_RUNTIMES = ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu13", "nvidia-cuda-runtime-cu12")
COMPILERS = ("cc", "gcc", "clang")


def package_checks(hardware: Hardware, driver: Driver | None) -> Iterator[Check]:
    for name in NEEDED_PACKAGES:
        yield package_check(name)
    yield cuda_check(hardware, driver)
    yield bitsandbytes_check(hardware)
    yield triton_check(hardware)


def package_check(name: str) -> Check:
    """Installed, and within the range that tuner was made for."""
    found = _version(name)
    wanted = _wanted("tui-tuner", name)
    if found is None:
        return _check(name, "fail", "not installed", f"pip install '{wanted}'")
    if not wanted.specifier.contains(found, prereleases=True):
        return _check(name, "warning", f"{found}, but tuner is made for {wanted.specifier}", f"pip install '{wanted}'")
    return _check(name, "ok", found)


def cuda_check(hardware: Hardware, driver: Driver | None = None) -> Check:
    """Whether torch was built for the GPU that is there, and whether its driver knows that CUDA."""
    torch = _version("torch")
    if torch is None:
        return _check("CUDA", "warning", "torch is not installed")
    build = torch.partition("+")[2]
    if build == "cpu" and hardware.gpus:
        fix = "Install torch from PyTorch's CUDA index."
        return _check("CUDA", "fail", f"torch {torch} is built without CUDA", fix)
    runtime = cuda_runtime()
    if runtime is not None and driver is not None and hardware.gpus:
        return _driver_check(runtime, driver, torch)
    if runtime is not None:
        return _check("CUDA", "ok", f"runtime {runtime} comes with torch {torch}")
    return _check("CUDA", "ok", "not used: torch is built for the CPU" if build == "cpu" else f"torch {torch}")


def bitsandbytes_check(hardware: Hardware) -> Check:
    """4-bit weights and 8-bit optimizers need it, and its library for the GPU's CUDA."""
    found = _version("bitsandbytes")
    if found is None:
        finding = "not installed: no nf4, no 8-bit optimizers"
        return _check("bitsandbytes", "warning", finding, "pip install bitsandbytes")
    libraries = _bitsandbytes_libraries()
    kinds = sorted({name.rstrip("0123456789") for name in libraries})
    if hardware.gpus and "cuda" not in kinds:
        fix = "pip install --force-reinstall bitsandbytes"
        return _check("bitsandbytes", "fail", f"{found} has no library for CUDA", fix)
    runtime = cuda_runtime()
    if hardware.gpus and runtime is not None and not _fits(runtime, libraries):
        finding = f"{found} has no library for CUDA {_short(runtime)}: {', '.join(libraries)}"
        return _check("bitsandbytes", "warning", finding, "pip install --upgrade bitsandbytes")
    return _check("bitsandbytes", "ok", f"{found} with libraries for {', '.join(kinds) or 'no device'}")


def triton_check(hardware: Hardware) -> Check:
    """The version that torch asks for, and a C compiler: launchers are built the first time a kernel runs."""
    found = _version("triton")
    if found is None:
        status: Status = "warning" if hardware.gpus else "ok"
        fix = "pip install triton" if hardware.gpus else ""
        return _check("Triton", status, "not installed; only GPUs use it", fix)
    wanted = _wanted("torch", "triton")
    if not wanted.specifier.contains(found, prereleases=True):
        finding = f"{found}, but this torch is made for {wanted.specifier}"
        return _check("Triton", "warning", finding, f"pip install 'triton{wanted.specifier}'")
    if hardware.gpus and not any(shutil.which(name) for name in COMPILERS):
        return _check("Triton", "warning", f"{found}, but no C compiler to build kernels with", "apt install gcc")
    return _check("Triton", "ok", found)


def cuda_runtime() -> str | None:
    """Version of the CUDA runtime that came with torch: "13.0.96"."""
    return next((found for name in CUDA_RUNTIMES if (found := _version(name))), None)


def _driver_check(runtime: str, driver: Driver, torch: str) -> Check:
    """Minor versions of CUDA run on any driver of the same major one; a newer major one needs a newer driver."""
    finding = f"runtime {runtime} with torch {torch}; driver {driver.version} knows CUDA {driver.cuda}"
    if int(runtime.split(".")[0]) > driver.cuda_major:
        fix = f"Update the driver, or install a torch that is built for CUDA {driver.cuda_major}."
        return _check("CUDA", "fail", finding, fix)
    return _check("CUDA", "ok", finding)


def _bitsandbytes_libraries() -> list[str]:
    """Devices by the names of its libraries: "cuda130", "cpu"."""
    spec = find_spec("bitsandbytes")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    return sorted(path.stem.removeprefix("libbitsandbytes_") for path in folder.glob("libbitsandbytes_*.so"))


def _fits(runtime: str, libraries: Sequence[str]) -> bool:
    return f"cuda{_short(runtime).replace('.', '')}" in libraries


def _short(runtime: str) -> str:
    return ".".join(runtime.split(".")[:2])


def _check(name: str, status: Status, finding: str, fix: str = "") -> Check:
    return Check(name, status, finding, fix, "packages")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _wanted(asker: str, name: str) -> Requirement:
    """What a package asks for of another; any version where it is not installed as one."""
    try:
        wanted = [Requirement(line) for line in requires(asker) or ()]
    except PackageNotFoundError:
        wanted = []
    return next((one for one in wanted if one.name == name), Requirement(name))
