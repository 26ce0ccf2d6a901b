"""Compiles every kernel for a Hopper GPU on a machine without one, and prints their names and bytes of shared memory:
`python -m tests.kernels.compiling`. It runs none. Asserts nothing.

Triton's interpreter, which the other tests run kernels in, takes programs that its compiler refuses.
"""

import sys
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from tui_tuner.kernels import launch

CPU = torch.device("cpu")
SLOW = ("attention", "RMSNorm")
"""Self-tests whose references take long on a processor; their kernels are launched by hand."""


class Hopper:
    """As much of a driver as compiling asks for."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _device: object = None) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return CPU


def main() -> None:
    driver.set_active(Hopper())
    run = JITFunction.run

    seen = set()

    def compile_only(self: JITFunction[Any], *arguments: Any, **options: Any) -> None:
        """Once for each form of a kernel, in the first type that it is asked for: each takes a second."""
        form = (
            self.fn.__module__,
            self.__name__,
            str({name: options[name] for name in sorted(options.keys() - {"grid"})}),
        )
        if form not in seen:
            seen.add(form)
            compiled: Any = run(self, *arguments, **options | {"warmup": True})
            sys.stdout.write(f"{form[0]} {form[1]} {compiled.metadata.shared}\n")

    JITFunction.run = compile_only
    # Before the other kernels take the name from there.
    launch.uses_kernel = lambda tensor: tensor.dtype in launch.KERNEL_DTYPES
    _launch_all()


def _launch_all() -> None:
    """By the self-tests, whose results mean nothing here, and directly where a kernel is chosen by device."""
    from tui_tuner.kernels import adamw, flat_parameters, fp8, fp8_rows, gated_product, gated_rows, nf4, rms_norm
    from tui_tuner.kernels import linear_cross_entropy as head
    from tui_tuner.kernels.attention import kernel as attention
    from tui_tuner.kernels.documents import batch_of
    from tui_tuner.kernels.lora import gated_ranks, gated_sums
    from tui_tuner.kernels.self_test import OPERATIONS

    for name, checks in OPERATIONS:
        if name not in SLOW:
            list(checks(CPU))
    for shape in ((16, 64), (3, 5)):
        for nested in (True, False):
            nf4.dequantize_kernel(nf4.random_weight(shape, CPU, nested=nested), torch.empty(shape).bfloat16())
    fp8.transpose_kernel(torch.zeros(8, 4, dtype=torch.uint8), torch.zeros(4, 8, dtype=torch.uint8))
    head.gather_rows_kernel(torch.zeros(9, dtype=torch.int64), 4)
    wide = torch.zeros(4, 2 * 4096, dtype=torch.bfloat16)
    for rows in (wide, torch.zeros(4, 2**17, dtype=torch.bfloat16)):
        fp8_rows.quantize_rows_kernel(rows)
        fp8_rows.quantize_rows_kernel(rows, torch.zeros(rows.shape[1]))
    gate, up = wide.split(4096, dim=1)
    product = torch.empty_like(gate)
    gated_rows.forward_kernel(gate, up, "silu", product, fp8_rows.empty_rows(product))
    into = gated_product.GatedGradients(gate, up, product)
    gated_rows.backward_kernel(product, gate, up, "silu", into, torch.zeros(8192), fp8_rows.empty_rows(wide))
    for rank in (16, 64):
        one, a = (
            gated_sums.ThinSum(gate[:, :rank], torch.zeros(rank, 4096)),
            torch.zeros(rank, 4096, dtype=torch.bfloat16),
        )
        for sums in (gated_sums.ThinSums(None, one, None), gated_sums.ThinSums(one, one, one)):
            gated_sums.backward_kernel(product, gate, up, "silu", sums)
        gated_ranks.forward_kernel(gate, up, "silu", product, a, torch.empty(4, 64).bfloat16(), gate[:, :rank])
    copy = torch.zeros(50, 40, dtype=torch.bfloat16)
    flat = flat_parameters.flat_parameters([flat_parameters.FlatParameter((50, 40), 0, copy, 2.0)], CPU)
    flat_parameters.refresh_copies_kernel(flat)
    adamw.adamw_step_kernel(flat, adamw.adamw_state(flat, [0.1]), adamw.AdamwOptions())
    weight, norm = torch.ones(4096, dtype=torch.bfloat16), rms_norm.Norm(1e-6)
    for residual in (None, gate):
        normed = rms_norm.forward_kernel(up, weight, norm, residual, rms_norm.Into(eight=fp8_rows.empty_rows(product)))
        for trains_weight in (True, False):
            rms_norm.backward_kernel(
                up,
                normed,
                weight,
                norm,
                residual,
                trains_weight=trains_weight,
                output=product if residual is None else None,
            )
    q, k = torch.zeros(64, 4, 32, dtype=torch.bfloat16), torch.zeros(64, 2, 32, dtype=torch.bfloat16)
    for scores in (attention.Scores(1.0), attention.Scores(1.0, window=7, softcap=5.0)):
        saved = attention.forward((q, k, k), batch_of(2, 32, CPU), scores)
        attention.backward(q, (q, k, k), saved, batch_of(2, 32, CPU), scores)


if __name__ == "__main__":
    main()
