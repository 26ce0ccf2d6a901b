import subprocess
import sys

HEAVY = ("torch", "transformers", "pydantic", "numpy")


def test_the_first_frame_imports_no_torch_and_no_pydantic() -> None:
    code = f"import sys, tui_tuner.screens.app; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
