"""Has the labels of the present draft checked by a process, and knows how far that is. Never waits, never draws."""

from collections.abc import Callable

from tui_tuner.data.looking.token_reader import TokenReader
from tui_tuner.screens.data.labels import Labels, LabelState
from tui_tuner.screens.data.pursuit import Pursuit
from tui_tuner.screens.data.wish import LabelWish, wish_of
from tui_tuner.screens.environment import Environment
from tui_tuner.screens.outlook import Outlook

LABELS_FOLDER = "labels"


class LabelDesk:
    """`on_change` is called from the desk's thread when a stage begins or ends, and must only post a message."""

    def __init__(self, environment: Environment, on_change: Callable[[], None]) -> None:
        self._folder = environment.state_folder / LABELS_FOLDER
        self._on_change = on_change
        self._pursuit: Pursuit | None = None
        self._stopped: LabelWish | None = None
        """A person ended the check of this one."""
        self._tokens: TokenReader | None = None

    def labels_for(self, outlook: Outlook) -> Labels | None:
        """Those of this draft's rows; None where others were followed last."""
        pursuit, wish = self._pursuit, wish_of(outlook)
        return (
            pursuit.labels
            if pursuit is not None and wish is not None and wish.request == pursuit.wish.request
            else None
        )

    def follow(self, outlook: Outlook) -> None:
        """Check the labels of this draft, if that can be done and was not done or stopped."""
        wish = wish_of(outlook)
        if wish is None or (self._stopped is not None and wish.is_same_as(self._stopped)):
            return
        pursuit = self._pursuit
        if pursuit is not None and pursuit.wish.request == wish.request:
            pursuit.fit_anew(wish)
        else:
            self._begin(wish)

    def look_again(self, outlook: Outlook) -> None:
        """Check anew: files may have changed, or the check was stopped."""
        self._stopped = None
        wish = wish_of(outlook)
        if wish is not None:
            self._begin(wish)

    def stop(self) -> None:
        """End the check at a person's wish; what was read stays."""
        if self._pursuit is not None:
            self._stopped = self._pursuit.wish
            self._pursuit.end()

    def token_reader(self, labels: Labels) -> TokenReader:
        """What says which text a token stands for."""
        if self._tokens is None or self._tokens.tokenizer_folder != labels.tokenizer_folder:
            if self._tokens is not None:
                self._tokens.close()
            self._tokens = TokenReader(labels.tokenizer_folder)
        return self._tokens

    def state(self, outlook: Outlook) -> LabelState:
        """How the labels of this draft stand; "none" where others were checked last."""
        pursuit = self._pursuit
        wish = wish_of(outlook) if pursuit is not None else None
        if pursuit is None or wish is None or not wish.is_same_as(pursuit.wish):
            return LabelState()
        labels = pursuit.labels
        is_known = labels.stage in ("fitting", "done") and labels.policies == wish.policies
        return LabelState(
            stage=labels.stage,
            num_rows=labels.num_rows,
            share_done=labels.share_done,
            reasons=labels.reasons if is_known else (),
        )

    def close(self) -> None:
        """End the processes."""
        if self._pursuit is not None:
            self._pursuit.end()
        if self._tokens is not None:
            self._tokens.close()

    def _begin(self, wish: LabelWish) -> None:
        if self._pursuit is not None:
            self._pursuit.end()
        self._pursuit = Pursuit(wish, self._folder, self._on_change)
        self._pursuit.start()
