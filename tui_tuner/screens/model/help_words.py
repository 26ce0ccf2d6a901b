"""The help of the Model station, about the model under the cursor."""

from tui_tuner.safe_text import visible
from tui_tuner.screens.model.catalogue import Entry
from tui_tuner.screens.outlook import Outlook
from tui_tuner.units import file_size, memory, short_count

INTRODUCTION = """## Model

Which base model is fine-tuned. The list shows what is on this machine first: the Hugging Face cache, folders below this
one and in `~/models`, and tuner's own small starter model. Type to narrow it down; a folder or a hub id that is not
listed is taken as it is typed.

* **4-bit** (`b`): the frozen base in 4 bits takes a quarter of the memory; what is trained stays in 32 bits.
* **name mapping** (`n`): a hub id may be loaded under another name that holds the same weights. It is always shown.
* **continue adapter** (`c`): go on training an adapter that is there already.
"""


def help_words(entry: Entry | None, outlook: Outlook) -> str:
    """Markdown: the present figures, and then what the station is for."""
    return "\n".join([*_about_entry(entry), *_about_memory(outlook), "", INTRODUCTION])


def _about_entry(entry: Entry | None) -> list[str]:
    if entry is None or entry.local is None or entry.local.base is None:
        return []
    facts = entry.local.base.facts
    words = [
        f"\n**{_plain(entry.name)}** has {short_count(facts.num_parameters)} parameters in {facts.num_layers} layers"
        f" and reads at most {facts.context_length:,} tokens at once."
    ]
    if facts.weight_bytes:
        words.append(f"Its weights take {file_size(facts.weight_bytes)} on disk, stored as {_plain(facts.dtype)}.")
    if not facts.is_accelerated:
        words.append("No family of tuner describes it: it trains with its own code, more slowly.")
    return words


def _about_memory(outlook: Outlook) -> list[str]:
    if outlook.plan is None:
        return []
    estimate = outlook.plan.memory
    free = f" of {memory(estimate.available)} free" if estimate.available is not None else ""
    return [
        f"\nThe chosen model is expected to take **{memory(estimate.total)}**{free} at the peak:"
        f" {memory(estimate.weights)} for its weights, {memory(estimate.activations + estimate.loss)} for what the"
        f" backward pass needs, {memory(estimate.adapters + estimate.gradients + estimate.optimizer)} for what is"
        f" trained with its gradients and optimizer states, {memory(estimate.reserve)} in reserve."
    ]


def _plain(text: str) -> str:
    """Text from outside without what Markdown would read."""
    return visible(text).translate({ord(sign): f"\\{sign}" for sign in "\\`*_[]<>#|"})
