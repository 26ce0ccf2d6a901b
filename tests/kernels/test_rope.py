"""RoPE: kernel and reference beside each other and beside transformers, for every way of stretching it."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, PreTrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.cohere.modeling_cohere import apply_rotary_pos_emb as turned_by_cohere
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as turned_by_llama

from tui_tuner.kernels import rope as op
from tui_tuner.kernels.rope import Heads, Rotation
from tui_tuner.kernels.rope_tables import Dynamic, Linear, Llama3, LongRope, Scaling, Tables, Yarn, frequencies, tables

CPU = torch.device("cpu")


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def rotation(tokens: int, rotary_dim: int, interleaved: bool = False) -> Rotation:
    positions = torch.randint(0, 50, (tokens,), generator=torch.Generator().manual_seed(tokens), dtype=torch.int32)
    return Rotation(tables(frequencies(rotary_dim, 1e4, None, 50), 50, CPU), positions, interleaved)


SHORT, LONG = tuple(1.0 + 0.1 * n for n in range(32)), tuple(2.0 + 0.3 * n for n in range(32))
SCALINGS: list[tuple[Mapping[str, object], Scaling, int]] = [
    ({"rope_type": "linear", "factor": 4.0}, Linear(4.0), 64),
    ({"rope_type": "dynamic", "factor": 2.0}, Dynamic(2.0, 8192), 64),
    ({"rope_type": "dynamic", "factor": 2.0}, Dynamic(2.0, 8192), 20000),
    (
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 4096},
        Llama3(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, trained_length=4096), 64,
    ),
    (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048},
        Yarn(factor=4.0, trained_length=2048), 64,
    ),
    (
        {"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 2048, "mscale": 0.7,
         "mscale_all_dim": 1.0, "beta_fast": 16, "beta_slow": 2, "truncate": False},
        Yarn(factor=40.0, trained_length=2048, mscale=0.7, mscale_all_dim=1.0, beta_fast=16.0, beta_slow=2.0,
             truncates=False), 64,
    ),
    (
        {"rope_type": "longrope", "short_factor": list(SHORT), "long_factor": list(LONG), "factor": 8.0,
         "original_max_position_embeddings": 1024},
        LongRope(short_factors=SHORT, long_factors=LONG, trained_length=1024, factor=8.0), 64,
    ),
    (
        {"rope_type": "longrope", "short_factor": list(SHORT), "long_factor": list(LONG), "factor": 8.0,
         "original_max_position_embeddings": 1024},
        LongRope(short_factors=SHORT, long_factors=LONG, trained_length=1024, factor=8.0), 2000,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "scaling", "length"), SCALINGS)
def test_frequencies_are_those_of_transformers(fields: Mapping[str, object], scaling: Scaling, length: int) -> None:
    config: PreTrainedConfig = LlamaConfig(
        hidden_size=256, num_attention_heads=4, max_position_embeddings=8192,
        rope_parameters={"rope_theta": 1e4, **fields},
    )  # fmt: skip
    theirs, factor = ROPE_INIT_FUNCTIONS[str(fields["rope_type"])](config, CPU, seq_len=length)
    ours = frequencies(64, 1e4, scaling, length)
    torch.testing.assert_close(ours.per_pair, theirs, rtol=1e-6, atol=0)
    assert ours.attention_factor == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize("interleaved", [False, True])
def test_it_turns_as_transformers_does(interleaved: bool) -> None:
    q, k, turn = randn(7, 3, 32), randn(7, 2, 32), rotation(7, 32, interleaved)
    cos, sin = (table[turn.positions.long()] for table in (turn.tables.cos, turn.tables.sin))
    cos, sin = (t.repeat_interleave(2, -1) if interleaved else torch.cat((t, t), -1) for t in (cos, sin))
    theirs = (turned_by_cohere if interleaved else turned_by_llama)(q[None], k[None], cos[None], sin[None], 2)
    into = Heads(torch.empty_like(q), torch.empty_like(k))
    op.turn_kernel(Heads(q, k), turn, into, backwards=False)
    torch.testing.assert_close(into.q, theirs[0][0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(into.k, theirs[1][0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("rotary_dim", [96, 24, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kernel_and_reference_agree_in_place_and_elsewhere(
    interleaved: bool, rotary_dim: int, dtype: torch.dtype
) -> None:
    fused, turn = randn(3, 7 * 96, dtype=dtype), rotation(3, rotary_dim, interleaved)
    heads = Heads(fused[:, : 4 * 96].view(3, 4, 96), fused[:, 4 * 96 : 6 * 96].view(3, 2, 96))
    wanted, got = (Heads(torch.empty(3, 4, 96, dtype=dtype), torch.empty(3, 2, 96, dtype=dtype)) for _ in range(2))
    op.turn_reference(heads, turn, wanted, backwards=False)
    op.turn_kernel(heads, turn, got, backwards=False)
    op.turn_kernel(heads, turn, heads, backwards=False)
    for result in (got, heads):
        torch.testing.assert_close(result.q, wanted.q, rtol=2 * torch.finfo(dtype).eps, atol=1e-5)
        torch.testing.assert_close(result.k, wanted.k, rtol=2 * torch.finfo(dtype).eps, atol=1e-5)


def test_gradients_are_turned_back_and_gathered_with_those_of_the_values_in_one_buffer() -> None:
    q, k, v, turn = randn(5, 4, 64), randn(5, 2, 64), randn(5, 2, 64, seed=1), rotation(5, 32)
    turned = Heads(torch.empty_like(q), torch.empty_like(k), v)
    op.turn_kernel(Heads(q, k), turn, turned, backwards=False)
    fused = torch.zeros(5, 8, 64)
    op.turn_kernel(turned, turn, Heads(fused[:, :4], fused[:, 4:6], fused[:, 6:]), backwards=True)
    torch.testing.assert_close(fused, torch.cat((q, k, v), 1))


@pytest.mark.parametrize("interleaved", [False, True])
def test_the_written_gradients_are_those_of_autograd(interleaved: bool) -> None:
    q, k = (randn(3, heads, 8).double().requires_grad_() for heads in (2, 1))
    turn = rotation(3, 6, interleaved)
    exact = Rotation(Tables(turn.tables.cos.double(), turn.tables.sin.double()), turn.positions, interleaved)
    assert torch.autograd.gradcheck(lambda q, k: op.rope(q, k, exact), (q, k))
