"""What models say on the proof rows: the live adapter on its base, the base alone, and the merged files.

Shapes: N compared positions, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tui_tuner.data.labels import LabelledExample
from tui_tuner.engine.batches import collate
from tui_tuner.engine.exporting.held_weights import through
from tui_tuner.engine.exporting.source import ExportSource
from tui_tuner.engine.fp8_base import decoder_linears
from tui_tuner.engine.loading import load_module
from tui_tuner.engine.proof import MAX_POSITIONS, read_back
from tui_tuner.exports import HeldIn, MergeBase
from tui_tuner.kernels.linear_cross_entropy import IGNORED_LABEL


@dataclass(frozen=True, slots=True)
class Answers:
    """Log-probabilities of one model."""

    distributions_NV: Tensor
    labels_N: Tensor

    @property
    def loss(self) -> float:
        return -self.distributions_NV.gather(1, self.labels_N.unsqueeze(1)).double().mean().item()

    def kl_from(self, other: "Answers") -> float:
        """Mean KL(other || self) in nats; of the rows of the vocabulary that both have."""
        mine, theirs = self._shared(other)
        return (theirs.exp() * (theirs - mine)).sum(-1).mean().item()

    def same_first_choice(self, other: "Answers") -> int:
        mine, theirs = self._shared(other)
        return int((mine.argmax(-1) == theirs.argmax(-1)).sum())

    def worse_first_choice(self, other: "Answers", margin: float) -> int:
        """Positions whose first choice the other holds for less likely than its own, by more than the margin."""
        mine, theirs = self._shared(other)
        lost_N = theirs.max(-1).values - theirs.gather(1, mine.argmax(-1, keepdim=True)).squeeze(1)
        return int((lost_N > margin).sum())

    def _shared(self, other: "Answers") -> tuple[Tensor, Tensor]:
        width = min(self.distributions_NV.shape[1], other.distributions_NV.shape[1])
        mine, theirs = self.distributions_NV[:, :width].double(), other.distributions_NV[:, :width].double()
        return mine.log_softmax(-1), theirs.log_softmax(-1)


@dataclass(frozen=True, slots=True)
class LiveAnswers:
    """The adapter as it is, on each base that it may be merged into, and the base without it."""

    tuned: dict[MergeBase, Answers]
    trained_on: MergeBase
    base: Answers

    @property
    def live(self) -> Answers:
        """On what it was trained on."""
        return self.tuned[self.trained_on]


def export_device(asked: str) -> torch.device:
    """Where proofs are computed."""
    on_gpu = torch.cuda.is_available() if asked == "auto" else asked == "cuda"
    return torch.device("cuda" if on_gpu else "cpu")


def ask_live(source: ExportSource, examples: Sequence[LabelledExample], device: torch.device) -> LiveAnswers:
    """Load the base once, with the adapter on it through PEFT, and ask it on every base that is possible.

    Raises:
        ModelError, MachineError: the base cannot be loaded.
        AdapterError: PEFT cannot read the adapter.
    """
    dtype = compute_type(source)
    module = load_module(source.base_folder, device, dtype, nf4_compute=None, remote_code=False)
    rows = _resized_rows(source)
    if rows is not None:
        # What the new rows begin with does not matter: the adapter brings its own.
        module.resize_token_embeddings(rows, mean_resizing=False)
    linears = _quantised_linears(module, source) if source.was_quantised else []
    is_stored = source.base.facts.stored_quantization is not None
    tuned: dict[MergeBase, Answers] = {}
    model = read_back(module, source.folder)
    if not (source.was_quantised and is_stored):
        tuned["16bit"] = ask(model, examples, device)
    if source.held_in is not None:
        if not is_stored:
            _take_bits(linears, source.held_in, device)
        tuned["dequantised"] = ask(model, examples, device)
    with model.disable_adapter():
        base = ask(model, examples, device)
    if rows is not None:
        base = Answers(base.distributions_NV[:, : source.base.facts.vocab_size].log_softmax(-1), base.labels_N)
    return LiveAnswers(tuned, "dequantised" if source.was_quantised else "16bit", base)


@torch.inference_mode()
def ask(module: Any, examples: Sequence[LabelledExample], device: torch.device) -> Answers:
    """Distributions at the trained positions, at most `MAX_POSITIONS`, in host memory."""
    distributions: list[Tensor] = []
    labels: list[Tensor] = []
    for index in range(len(examples)):
        batch = collate(examples, [(index,)]).to(device)
        kept = batch.labels_BT[0] != IGNORED_LABEL
        logits_TV = module(input_ids=batch.input_ids_BT, position_ids=batch.position_ids_BT, use_cache=False).logits[0]
        distributions.append(logits_TV[kept].float().log_softmax(-1).cpu())
        labels.append(batch.labels_BT[0][kept].cpu())
        if sum(map(len, labels)) >= MAX_POSITIONS:
            break
    return Answers(torch.cat(distributions)[:MAX_POSITIONS], torch.cat(labels)[:MAX_POSITIONS])


def _resized_rows(source: ExportSource) -> int | None:
    """Rows of the embeddings that the adapter brings, where they are not as many as the base has."""
    if source.weights is None:
        return None
    names = [name for name in source.weights.whole if name.endswith("embed_tokens.weight")]
    rows = source.weights.whole_shape(names[0])[0] if names else source.base.facts.vocab_size
    return rows if rows != source.base.facts.vocab_size else None


def compute_type(source: ExportSource) -> torch.dtype:
    """What training computed in."""
    return torch.float32 if source.trained_in == "float32" else torch.bfloat16


def _quantised_linears(module: Any, source: ExportSource) -> list[nn.Linear]:
    """The modules that loading would quantise: in NF4 every linear one but the head, in fp8 those of the layers."""
    if source.held_in == "fp8":
        return [one for _, _, one in decoder_linears(module)]
    head = module.get_output_embeddings()
    return [one for one in module.modules() if isinstance(one, nn.Linear) and one is not head]


@torch.no_grad()
def _take_bits(linears: Sequence[nn.Linear], held_in: HeldIn, device: torch.device) -> None:
    for linear in linears:
        linear.weight.copy_(through(held_in, linear.weight, linear.weight.dtype, device))
