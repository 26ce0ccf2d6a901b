"""Micro-steps of fixed shape as CUDA graphs: one launch by the host where small models would wait for it.

A shape is recorded when it comes for the third time. Recordings are thrown away as soon as a buffer that they use has
moved. Nothing here changes what is computed.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.engine.acceleration.decoder import Tokens, in_one_line
from tui_tuner.engine.acceleration.micro_step import MicroStep
from tui_tuner.engine.batches import MicroBatch

SEEN_BEFORE = 2
MOST_RECORDED = 4
MOST_TOKENS = 8192
"""Tokens above which the device is slower than the host, and a recording's own memory is worth more."""
ROW_STEPS = 8
"""The bound on labels is rounded up to so many parts of all tokens, so that a few recordings serve all batches."""
Key = tuple[int, int | None, int, int, int]


@dataclass(frozen=True, slots=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    tokens: Tokens
    factor: Tensor
    loss: Tensor


class GraphedSteps:
    """Runs micro-steps, and replays those whose shape comes often."""

    def __init__(self, eager: MicroStep) -> None:
        assert not eager.decoder.stack.space.lends, "a recording uses buffers that stay where they are"
        self.eager = eager
        self._moved = self._moves
        self._seen: Counter[Key] = Counter()
        self._recorded: dict[Key, _Recorded] = {}
        self._has_room = True
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, batch: MicroBatch, factor: Tensor) -> Tensor:
        """As `MicroStep` does; the loss is overwritten by the next call."""
        tokens = in_one_line(batch, self.eager.fixed)
        rows = bound(batch.num_trained, len(tokens.ids))
        key = _key(tokens, rows)
        if self._moved != self._moves:
            # Seen anew as well: nothing may be allocated while recording that is to stay.
            self._recorded.clear()
            self._seen.clear()
            # A pool that no recording uses any more is gone, and its handle with it.
            self._pool = torch.cuda.graph_pool_handle()
            self._moved = self._moves
        if key not in self._recorded:
            self._seen[key] += 1
            is_new = self._seen[key] <= SEEN_BEFORE or len(self._recorded) >= MOST_RECORDED
            if is_new or len(tokens.ids) > MOST_TOKENS or not self._record(key, tokens, rows, factor):
                return self.eager.run(tokens, rows, factor)
        return _replay(self._recorded[key], tokens, factor)

    def num_tokens(self, batch: MicroBatch) -> int:
        """As `MicroStep` does."""
        return self.eager.num_tokens(batch)

    def forget(self) -> None:
        """Drop all recordings with the memory that they hold."""
        self._recorded.clear()
        self._seen.clear()
        self._has_room = True

    @property
    def _moves(self) -> int:
        """Changes whenever a buffer that a recording uses gets another address."""
        stack = self.eager.decoder.stack
        return stack.space.moves + stack.host.moves + self.eager.decoder.rotations.moves

    def _record(self, key: Key, tokens: Tokens, rows: int, factor: Tensor) -> bool:
        """Recording runs nothing; the gradients come with the first replay. False where memory has no room for it."""
        if not self._has_room:
            return False
        static, static_factor = tokens.copied(), factor.clone()
        # While recording, the allocator gives nothing back of what it holds in reserve.
        torch.cuda.empty_cache()
        graph, loss = torch.cuda.CUDAGraph(), None
        with torch.cuda.graph(graph, pool=self._pool), suppress(torch.OutOfMemoryError):
            loss = self._run_whole(static, rows, static_factor)
        if loss is None:
            self._has_room = False
            return False
        self._recorded[key] = _Recorded(graph, static, static_factor, loss)
        return True

    def _run_whole(self, tokens: Tokens, rows: int, factor: Tensor) -> Tensor:
        """A recording cannot end while copies to the host are under way, as they are where a pass fails."""
        try:
            return self.eager.run(tokens, rows, factor)
        except BaseException:
            self.eager.decoder.stack.host.abandon()
            raise


def bound(rows: int, tokens: int) -> int:
    """The number of labels, rounded up; never above the number of tokens."""
    step = max(1, tokens // ROW_STEPS)
    return min(tokens, -(-rows // step) * step)


def _key(tokens: Tokens, rows: int) -> Key:
    documents = tokens.documents
    return len(tokens.ids), documents.rows, len(documents.boundaries), documents.max_length, rows


def _replay(recorded: _Recorded, tokens: Tokens, factor: Tensor) -> Tensor:
    recorded.tokens.refill(tokens)
    recorded.factor.copy_(factor, non_blocking=True)
    recorded.graph.replay()
    return recorded.loss
