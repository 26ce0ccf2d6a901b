"""Says what tokens stand for: `python -m tui_tuner.data.looking.token_process TOKENIZER_FOLDER`.

Each line of input is a list of ids as JSON, each line of output the list of their texts. A tokenizer takes half a
second of Python to load, which a process that draws cannot spare.
"""

import json
import sys
from pathlib import Path

from tui_tuner.data.token_texts import token_texts
from tui_tuner.data.tokenizer import load_text_tokenizer


def main(folder: Path) -> int:
    """Answer until the input ends."""
    tokenizer = load_text_tokenizer(folder)
    for line in sys.stdin.buffer:
        sys.stdout.write(json.dumps(token_texts(json.loads(line), tokenizer)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
