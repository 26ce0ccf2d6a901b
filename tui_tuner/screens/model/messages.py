"""What the Model station's reading threads report."""

from textual.message import Message

from tui_tuner.errors import ModelError
from tui_tuner.planning.hub.search import HubModel
from tui_tuner.planning.local_models import LocalAdapter, LocalModel


class Looked(Message):
    """The machine was searched."""

    def __init__(self, models: tuple[LocalModel, ...], adapters: tuple[LocalAdapter, ...], problem: str = "") -> None:
        self.models = models
        self.adapters = adapters
        self.problem = problem
        super().__init__()


class Found(Message):
    """The hub was asked for a text."""

    def __init__(self, text: str, models: tuple[HubModel, ...], problem: ModelError | None, has_token: bool) -> None:
        self.text = text
        self.models = models
        self.problem = problem
        self.has_token = has_token
        super().__init__()
