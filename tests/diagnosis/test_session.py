"""What becomes of a run at logout."""

from pathlib import Path

import pytest

from tui_tuner.diagnosis import session
from tui_tuner.diagnosis.session import kills_at_logout, logout_check, multiplexer_check


def test_over_ssh_without_tmux_the_window_is_at_risk_and_runs_are_not() -> None:
    check = multiplexer_check({"SSH_CONNECTION": "a 1 b 2"})
    assert check.status == "note" and "runs go on" in check.finding and "tmux" in check.fix
    assert multiplexer_check({"SSH_CONNECTION": "a 1 b 2", "TMUX": "x"}).status == "ok"


def test_the_last_setting_of_logind_counts(tmp_path: Path) -> None:
    main, folder = tmp_path / "logind.conf", tmp_path / "logind.conf.d"
    folder.mkdir()
    main.write_text("[Login]\n#KillUserProcesses=no\n")
    assert not kills_at_logout((main, folder))
    (folder / "10-kill.conf").write_text("[Login]\nKillUserProcesses=yes\n")
    assert kills_at_logout((main, folder))


def test_processes_that_are_ended_at_logout_are_a_warning_unless_lingering_is_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CONTAINER_SIGNS", ())
    monkeypatch.setattr(session, "SYSTEMD", tmp_path)
    assert logout_check({}, kills=True, lingers="no").fix == "loginctl enable-linger"
    assert logout_check({}, kills=True, lingers="yes").status == "ok"
    assert "SLURM job 7" in logout_check({"SLURM_JOB_ID": "7"}, kills=False, lingers="no").finding
