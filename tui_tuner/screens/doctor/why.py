"""Why each thing that doctor looks at matters, in plain words; and the help of the check under the cursor."""

from tui_tuner.diagnosis.check import Check
from tui_tuner.safe_text import visible

WHY = {
    "tuner": "Name it when you report a problem; each run keeps the version that made it.",
    "torch": "Computes everything. A build for the CPU cannot use a GPU; one for CUDA needs a new enough driver.",
    "transformers": "Reads models and their settings, and computes the architectures that tuner has no layers of its"
    " own for.",
    "peft": "Adapters are saved in its format; whoever loads yours with it needs a version that reads them.",
    "tokenizers": "Cuts text into tokens. Labels are laid on what it says, to the character.",
    "safetensors": "The format of weights: it holds numbers and no code.",
    "CUDA": "torch is built for one version of CUDA, and the driver must be at least as new.",
    "bitsandbytes": "Holds a base model in 4 bits, and optimizer states in 8.",
    "Triton": "Compiles tuner's kernels for the GPU when a run begins. Without it runs work, and steps are slower.",
    "GPU": "Where a run computes. On processors alone only small models are worth the wait.",
    "held": "What others hold is not there for your run: the plan counts on what is free now.",
    "memory": "Weights pass through the machine's memory on their way to the GPU; where there is too little of it the"
    " system ends a process without a word.",
    "runs folder": "Here every run keeps its journal, checkpoints and adapter.",
    "checkpoints": "Each save is written whole before the one before it goes; a full disk stops a run.",
    "merge": "A merged model is the whole base once more, in 16 bits.",
    "model cache": "Models from the hub are kept here, and loaded from here without network.",
    "terminal": "Size, name and encoding decide what can be drawn: 80 × 24 shows everything, 120 × 40 shows more.",
    "colours": "Every colour is doubled by a sign or by bold letters, so that none is needed.",
    "clipboard": "y copies through the terminal, and keeps a copy in clipboard.txt of the state folder.",
    "window": "A run goes on when the window is gone; in tmux or screen the window is still there too.",
    "logout": "Where the system ends what you started when you log out, it ends runs too.",
}


def why(check: Check) -> str:
    """By the name of the check, which may have a number in it: "GPU 0 held"."""
    words = check.name.split()
    known = (WHY.get(name) for name in (check.name, words[-1] if words else "", words[0] if words else ""))
    return next((one for one in known if one), "")


def check_help(check: Check | None, introduction: str) -> str:
    """Markdown: the check with what was found, before what doctor is."""
    if check is None:
        return introduction
    parts = [f"## {_plain(check.name)}", _plain(check.finding), why(check)]
    parts += [f"**What to do**: {_plain(check.fix)}"] if check.fix else []
    return "\n\n".join([*filter(None, parts), "---", introduction])


def _plain(text: str) -> str:
    """Text from outside without what Markdown would read."""
    return visible(text).translate({ord(sign): f"\\{sign}" for sign in "\\`*_[]<>#|"})
