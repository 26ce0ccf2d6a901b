"""Rows of a data set on the Hugging Face hub, through `datasets` and its cache. Its scripts never run."""

from collections.abc import Iterator

from tui_tuner.data.rows import RowRef, SourceRow
from tui_tuner.data.sources.files import HubDataset
from tui_tuner.errors import DataError


def read_hub_dataset(source: HubDataset) -> Iterator[SourceRow]:
    """Stream the rows; a data set that is in the cache needs no network.

    Raises:
        DataError: no network, not found, gated, no such split or configuration: told apart.
    """
    import datasets  # costs over a second

    name = source.repo if source.config is None else f"{source.repo}:{source.config}"
    patience = datasets.DownloadConfig(max_retries=1)
    try:
        rows = datasets.load_dataset(source.repo, source.config, split=source.split, download_config=patience)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise _not_found(source, str(error)) from error
    except ConnectionError as error:
        raise DataError(
            f"{name} is neither a file here nor in the cache, and the hub cannot be reached.",
            "Check the path; if it is a hub id, connect to the network or fetch it before.",
        ) from error
    except (ValueError, RuntimeError, datasets.exceptions.DatasetGenerationError) as error:
        hint = f"Write {source.repo}:NAME for a configuration, and `split` for a split."
        raise DataError(f"{name} cannot be loaded: {_first_line(error)}", hint) from error
    for number, fields in enumerate(rows, start=1):
        yield SourceRow(ref=RowRef(name, number), fields=fields)


def _not_found(source: HubDataset, message: str) -> DataError:
    url = f"https://huggingface.co/datasets/{source.repo}"
    if "gated" in message:
        return DataError(f"{source.repo} is gated.", f"Accept its terms at {url}, then run `hf auth login`.")
    return DataError(
        f"{source.repo} is neither a file here nor a data set on the hub.", f"Check the name at {url}, or the path."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
