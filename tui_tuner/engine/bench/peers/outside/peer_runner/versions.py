"""What is installed beside a peer."""

from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "triton", "transformers", "peft", "bitsandbytes", "trl", "unsloth", "liger-kernel")


def versions() -> dict[str, str]:
    """Of the packages that there are."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
