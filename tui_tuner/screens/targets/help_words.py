"""The help of the Targets station, about the line under the cursor and the present figures."""

from tui_tuner.screens.outlook import Outlook
from tui_tuner.screens.targets.cost import capacity_words
from tui_tuner.screens.targets.module_tree import Row
from tui_tuner.units import file_size, memory

INTRODUCTION = """## Targets

Which modules learn. A **target** is a linear module that gets an adapter: two thin matrices beside the frozen one. The
**embeddings**, the **head** and **norms** can only be trained in full, which costs their whole size.

* **rank** `[` `]` is how wide the thin matrices are. Twice the rank is twice the parameters.
* **alpha** `;` `'` is the strength of the update: it is scaled by alpha / rank (rsLoRA: by alpha / √rank).
* **variant** `v`: rsLoRA keeps the update's size at a large rank; DoRA learns the size of each output as well.
* **layers** `l`: `0-17, 20`, `last 8`, `every 2` or `all`.
* **regular expression** `/`: chooses the modules whose path it finds, `!` before it the others.
"""


WHAT_IT_DOES = {
    "q_proj": "makes the queries: what each token looks for in the text before it.",
    "k_proj": "makes the keys: what each token offers to be found by.",
    "v_proj": "makes the values: what a token passes on when it is found.",
    "o_proj": "mixes what the heads found back into the stream.",
    "qkv_proj": "makes queries, keys and values in one matrix.",
    "gate_proj": "decides which of the MLP's features are let through.",
    "up_proj": "widens each token to the MLP's features; much of what a model knows sits here.",
    "gate_up_proj": "gate and features of the MLP in one matrix.",
    "down_proj": "brings the MLP's features back into the stream.",
    "self_attn": "lets tokens look at each other: where the model finds things in its text.",
    "mlp": "works on each token by itself: where much of what the model knows is kept.",
    "norms": "scale the stream before each part: few numbers, seldom worth training.",
    "embed_tokens": "the vector of each token. Train it for new tokens or a new language; it is large.",
    "lm_head": "scores the next token. Train it with the embeddings, for new tokens.",
    "norm": "the last norm before the head.",
}


def row_words(row: Row) -> str:
    """What the modules of a line do, and what they count."""
    known = WHAT_IT_DOES.get(row.label)
    if known is None and row.kind == "layers":
        known = "all linear modules of every layer: the usual choice, and what auto takes."
    matrices = sum(len(one.modules) for one in row.patterns)
    counted = f"{matrices:,} modules, " if matrices > 1 else ""
    counted += f"{row.num_more:,} parameters more" if row.state == "off" else f"{row.num_trained:,} trained"
    return f"{row.label}: {known or 'a part of each layer.'} ({counted})"


def help_words(row: Row | None, outlook: Outlook) -> str:
    """Markdown: the present figures, and then what the station is for."""
    words = []
    adapter, plan = outlook.adapter, outlook.plan
    if row is not None:
        words.append("\n" + row_words(row).translate({ord(sign): f"\\{sign}" for sign in "\\`*_[]<>#|"}))
    if adapter is not None and plan is not None:
        words.append(
            f"\nNow **{adapter.num_trainable:,}** of {adapter.num_total:,} parameters are trained"
            f" ({adapter.trainable_percent:.3f} %), as PEFT counts them. The adapter file will have"
            f" {file_size(adapter.adapter_bytes)}; training is expected to take {memory(plan.memory.total)}."
        )
        words.append(capacity_words(outlook))
    return "\n".join([*words, "", INTRODUCTION])
