"""What GPUs reach at most, by the names that their driver gives: dense bfloat16 products, and memory.

From NVIDIA's data sheets and architecture papers, with float32 sums and without sparsity (sheets that state it are
halved). A name that is not here, a slice of a GPU (MIG) or a laptop's GPU has no entry: nothing is guessed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuPeak:
    """Of one whole GPU."""

    teraflops: float
    """Dense bfloat16 products with float32 sums, 10^12 operations a second."""
    gigabytes: float
    """Of memory traffic a second, 10^9 bytes."""


_PEAKS = {
    "B200": GpuPeak(2250, 8000),
    "GH200 480GB": GpuPeak(989, 4000),
    "H200": GpuPeak(989, 4800),
    "H200 NVL": GpuPeak(835, 4800),
    "H100 80GB HBM3": GpuPeak(989, 3350),
    "H100 PCIe": GpuPeak(756, 2000),
    "H100 NVL": GpuPeak(835, 3900),
    "A100-SXM4-80GB": GpuPeak(312, 2039),
    "A100-SXM4-40GB": GpuPeak(312, 1555),
    "A100 80GB PCIe": GpuPeak(312, 1935),
    "A100-PCIE-40GB": GpuPeak(312, 1555),
    "A30": GpuPeak(165, 933),
    "A10": GpuPeak(125, 600),
    "A10G": GpuPeak(70, 600),
    "A40": GpuPeak(149.7, 696),
    "L4": GpuPeak(121, 300),
    "L40": GpuPeak(181, 864),
    "L40S": GpuPeak(362, 864),
    "RTX A6000": GpuPeak(154.8, 768),
    "RTX 6000 Ada Generation": GpuPeak(364.2, 960),
    "GeForce RTX 3090": GpuPeak(71, 936),
    "GeForce RTX 3090 Ti": GpuPeak(80, 1008),
    "GeForce RTX 4080": GpuPeak(97.5, 717),
    "GeForce RTX 4090": GpuPeak(165.2, 1008),
    "GeForce RTX 5080": GpuPeak(112.6, 960),
    "GeForce RTX 5090": GpuPeak(209.5, 1792),
}


def gpu_peak(name: str) -> GpuPeak | None:
    """The entry of a driver's name such as "NVIDIA H200"; None where there is none."""
    return _PEAKS.get(name.removeprefix("NVIDIA ").strip())
