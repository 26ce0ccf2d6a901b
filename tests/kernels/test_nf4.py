"""NF4: reference and kernel give the bits that bitsandbytes gives."""

from dataclasses import replace

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit

from tui_tuner.kernels.nf4 import (
    LEVELS,
    Nf4Weight,
    dequantize,
    dequantize_kernel,
    dequantize_reference,
    nf4_weight,
    random_weight,
)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
SHAPES = [(48, 128), (33, 104), (3, 8), (33, 100), (7, 65), (1, 4097), (5, 5)]
CASES = [(shape, 64) for shape in SHAPES] + [((3, 4096), 256), ((5, 4096), 4096)]
# Left to GPUs: on a CPU bitsandbytes itself gets blocks wrong that are longer than a row.
GPU_CASES = [((48, 128), 256), ((33, 100), 1024), ((7, 65), 4096)] if torch.cuda.is_available() else []


def packed(shape: tuple[int, int], dtype: torch.dtype, block_size: int, nested: bool) -> tuple[Nf4Weight, torch.Tensor]:
    """A weight that bitsandbytes quantised, and what it makes of it again."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(DEVICE, dtype)
    stored, state = quantize_4bit(values, blocksize=block_size, quant_type="nf4", compress_statistics=nested)
    # On a CPU bitsandbytes would compile its arithmetic anew for each shape.
    with torch.compiler.set_stance("force_eager"):
        return nf4_weight(stored, state), dequantize_4bit(stored, state)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(("shape", "block_size"), CASES + GPU_CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_bits_are_those_of_bitsandbytes(
    shape: tuple[int, int], dtype: torch.dtype, block_size: int, nested: bool
) -> None:
    weight, wanted = packed(shape, dtype, block_size, nested)
    assert dequantize_reference(weight, torch.empty_like(wanted)).equal(wanted)
    assert dequantize_kernel(weight, torch.empty_like(wanted)).equal(wanted)


@pytest.mark.parametrize("block_size", [64, 128, 1024])
def test_blocks_longer_than_a_row_run_on_into_the_next(block_size: int) -> None:
    weight = random_weight((33, 100), DEVICE, block_size)
    wanted = dequantize_reference(weight, torch.empty(33, 100, device=DEVICE))
    spaced = torch.empty(33, 107, device=DEVICE)[:, :100]
    assert dequantize_kernel(weight, torch.empty(33, 100, device=DEVICE)).equal(wanted)
    assert dequantize_kernel(weight, spaced).equal(wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_spaced_rows_are_filled_and_nothing_between_them(shape: tuple[int, int]) -> None:
    weight, wanted = packed(shape, torch.float32, 64, nested=True)
    buffer = torch.full((shape[0], shape[1] + 9), -5.0, device=DEVICE)
    assert dequantize_kernel(weight, buffer[:, : shape[1]]).equal(wanted)
    assert (buffer[:, shape[1] :] == -5.0).all()


def test_words_that_do_not_begin_at_a_multiple_of_four_bytes_are_read_as_well() -> None:
    weight = random_weight((16, 64), DEVICE)
    moved = torch.empty(1 + weight.packed.numel(), dtype=torch.uint8, device=DEVICE)[1:].copy_(weight.packed)
    wanted = dequantize_reference(weight, torch.empty(16, 64, device=DEVICE))
    assert dequantize_kernel(replace(weight, packed=moved), torch.empty(16, 64, device=DEVICE)).equal(wanted)


def test_levels_are_those_that_bitsandbytes_stores() -> None:
    weight, _ = packed((8, 64), torch.float32, 64, nested=True)
    assert weight.levels.tolist() == list(LEVELS)


def test_another_dtype_than_the_quantised_one_may_be_asked_for() -> None:
    weight = random_weight((16, 64), DEVICE)
    exact = dequantize(weight, torch.empty(16, 64, device=DEVICE))
    assert dequantize(weight, torch.empty(16, 64, dtype=torch.bfloat16, device=DEVICE)).equal(exact.bfloat16())


def test_a_buffer_of_another_shape_is_refused() -> None:
    weight = random_weight((16, 64), DEVICE)
    with pytest.raises(ValueError, match="does not fit"):
        dequantize_kernel(weight, torch.empty(64, 16, device=DEVICE))


def test_another_kind_of_four_bits_is_refused() -> None:
    stored, state = quantize_4bit(torch.randn(8, 64, device=DEVICE), quant_type="fp4")
    with pytest.raises(ValueError, match="fp4"):
        nf4_weight(stored, state)
