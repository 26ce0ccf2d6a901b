"""The audit of an adapter, as it is drawn."""

from tests.cli.terminal import drawn
from tui_tuner.cli.views.audit import audit_block, moved_words
from tui_tuner.events import AdapterAudited, AuditedGroup, WeightsChecked

GROUPS = (
    AuditedGroup(name="lora", expected=83_886_080, trainable=83_886_080, learning_rates=(1e-4, 4e-4)),
    AuditedGroup(name="head", expected=525_336_576, trainable=525_336_576, learning_rates=(1e-5,)),
)


def audited(**changes: object) -> AdapterAudited:
    whole = AdapterAudited(
        folder="runs/one/adapter", groups=GROUPS, loss_before=2.31, loss_after=1.04, rows="12 held-out rows",
        loss_logged=1.05, step_logged=40,
    )  # fmt: skip
    return whole.model_copy(update=changes)


def test_counts_rates_and_losses_are_shown() -> None:
    text = drawn(audit_block(audited()), 140)
    assert "all 609,222,656 parameters are trained again" in text
    assert "525,336,576" in text
    assert "2.3100 without, 1.0400 with it on 12 held-out rows · last logged 1.0500 on its own rows" in text


def test_what_does_not_fit_is_named() -> None:
    text = drawn(audit_block(audited(problem="lm_head would not be trained", unmatched=("lm_head.weight",))), 100)
    assert "✗ lm_head would not be trained" in text
    assert "lm_head.weight is in the file and not trained" in text


def test_what_moved_is_said_in_one_line() -> None:
    checked = WeightsChecked(step=3, num_trained=30, num_frozen=19)
    assert str(moved_words(checked)) == "all 30 trained tensors moved · none of 19 frozen"
    assert str(moved_words(checked.model_copy(update={"unmoved": ("a",)}))) == "1 trained tensors did not move"
