import subprocess
import sys


def test_the_first_frame_imports_no_torch_and_no_pydantic() -> None:
    code = "import sys, tui_tuner.screens.app; print([n for n in ('torch','transformers','pydantic','numpy') if n in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
