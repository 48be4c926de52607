"""The command line as a person meets it: help with an example, wrong input answered by a sentence, settings left beside every output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vrodent.cli import COMMANDS, main
from vrodent.config import TaskName, UsageError, as_json, save_resolved, usage, writable_folder
from vrodent.task import TASK_NAMES


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    try:
        status = main(words)
    except SystemExit as left:  # tyro ends the process itself, for help and for wrong options
        status = int(left.code or 0) if not isinstance(left.code, str) else 1
    out, err = capsys.readouterr()
    return status, out, err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The message of a command that must refuse its input."""
    status, out, err = run(capsys, *words)
    assert status == 2, (status, out, err)
    assert "Traceback" not in err and out == ""
    return " ".join(err.replace("│", " ").split())


def test_help_lists_every_command_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--help")
    assert status == 0
    for name, summary in COMMANDS.items():
        assert name in out and summary in out
    assert "example: vrodent study" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    status, out, _ = run(capsys, name, "--help")
    assert status == 0
    assert f"example: vrodent {name}" in out and "--json" in out


def test_no_command_is_a_question_not_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys)[0] == 2


def test_unknown_command_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "recrod")
    assert "'recrod'" in message and all(name in message for name in COMMANDS)


def test_help_is_fast_because_it_loads_nothing() -> None:
    code = "import sys; from vrodent.cli import main; main(['--help']); print({'jax', 'mujoco', 'pynwb', 'tyro'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip().endswith("set()")


def test_module_and_script_are_the_same_program() -> None:
    ran = subprocess.run([sys.executable, "-m", "vrodent", "--version"], capture_output=True, text=True, check=True, timeout=60)
    script = Path(sys.executable).with_name("vrodent")
    again = subprocess.run([str(script), "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == again.stdout and ran.stdout.startswith("vrodent 0.")


def test_the_command_line_offers_the_tasks_there_are() -> None:
    assert TaskName.__args__ == TASK_NAMES


@pytest.mark.parametrize("command", ["record", "study", "evaluate"])
def test_unknown_task(capsys: pytest.CaptureFixture[str], command: str) -> None:
    option = "--task" if command == "record" else "--tasks"
    message = refused(capsys, command, "untrained", option, "twotap")
    assert "twotap" in message and all(name in message for name in TASK_NAMES)


def test_no_trials(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = str(tmp_path / "s")
    assert "trials must be at least 1, got 0" in refused(capsys, "record", "untrained", "--task", "bowl", "--trials", "0", "--out", out)
    assert "trials must be at least 1, got -3" in refused(capsys, "study", "untrained", "--trials", "-3", "--out", out)
    assert "trials must be at least 1" in refused(capsys, "evaluate", "standing", "--trials", "0")
    assert not (tmp_path / "s").exists()


def test_missing_agent_says_what_there_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = refused(capsys, "record", str(tmp_path / "nobody"), "--task", "gaps")
    assert "nobody" in message and "there is no agent" in message
    assert "config.json" in refused(capsys, "evaluate", str(tmp_path))


def test_truncated_checkpoint(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text('{"format": 1, "agent"')
    (folder / "COMPLETE").write_text("0" * 64)
    assert "broken" in refused(capsys, "evaluate", str(folder), "--trials", "1")


def test_missing_session(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = refused(capsys, "analyze", str(tmp_path / "none"), "--out", str(tmp_path / "results"))
    assert "none" in message and "vrodent record" in message


def test_truncated_session(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    session = tmp_path / "session.nwb"
    session.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    message = refused(capsys, "analyze", str(session), "--out", str(tmp_path / "results"))
    assert str(session) in message and "truncated" in message


def test_no_session_at_all(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "vrodent record" in refused(capsys, "analyze", "--out", str(tmp_path / "results"))


def test_settings_out_of_range(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = refused(capsys, "analyze", str(tmp_path), "--num-bootstrap", "3", "--out", str(tmp_path / "results"))
    assert "num_bootstrap must be at least 100, got 3" in message


def test_report_of_no_study(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "vrodent study" in refused(capsys, "report", str(tmp_path / "none"))
    assert "run the analysis first" in refused(capsys, "report", str(tmp_path))


def test_resuming_where_there_is_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no run to resume" in refused(capsys, "train", "tiny", "--out", str(tmp_path / "run"), "--resume")


def test_training_settings_that_cannot_be(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = refused(capsys, "train", "tiny", "--out", str(tmp_path / "run"), "--total-steps", "0")
    assert "total_steps must be positive" in message
    assert "no task" in refused(capsys, "train", "tiny", "--out", str(tmp_path / "run"), "--tasks", "gaps", "twotap")


def test_teachers_that_do_not_fit_the_tasks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    two = ("--teacher", "locomotion", "locomotion")
    for words in (("evaluate", "teacher", *two), ("train", "distil", "--out", str(tmp_path / "run"), *two)):
        assert "give one teacher, or 4, for gaps, forage, bowl, two_tap; got 2" in refused(capsys, *words)
    assert "no teacher 'nobody'" in refused(capsys, "evaluate", "teacher", "--teacher", "nobody")
    assert "must not be negative" in refused(capsys, "train", "tiny", "--out", str(tmp_path / "run"), "--evaluation-trials", "-1")


def test_output_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file stands where the folder should be: that refuses even root, whom permissions do not stop."""
    (tmp_path / "taken").write_text("a file")
    for out in (tmp_path / "taken", tmp_path / "taken" / "inside"):
        assert str(out) in refused(capsys, "study", "untrained", "--out", str(out))
        assert str(tmp_path / "taken") in refused(capsys, "record", "untrained", "--task", "gaps", "--trials", "1", "--out", str(out))
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_student_starts_from_a_packaged_agent_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "four-tasks" in refused(capsys, "train", "tiny", "--start", "nobody", "--out", str(tmp_path / "a"))
    message = refused(capsys, "train", "tiny", "--start", "four-tasks", "--out", str(tmp_path / "b"))
    assert "four-tasks" in message and "core_size" in message  # found, and its network is another than the toy's


def test_another_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from vrodent.commands import doctor

    def fail(self: object) -> int:
        raise ValueError("a mistake of the program")

    monkeypatch.setattr(doctor.Command, "run", fail)
    with pytest.raises(ValueError, match="a mistake of the program"):
        main(["doctor"])


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m vrodent doctor --json | head -1"
    ran = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=True, timeout=300)
    assert ran.stdout == "{\n" and ran.stderr == ""


def test_doctor_finds_what_the_tests_need() -> None:
    ran = subprocess.run([sys.executable, "-m", "vrodent", "doctor", "--json"], capture_output=True, text=True, check=False, timeout=300)
    report = json.loads(ran.stdout)
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert ran.returncode == 0 and report["healthy"] is True
    assert findings["camera"]["works"] and findings["jax"]["works"]
    assert all(finding["mend"] for finding in report["findings"] if not finding["works"])


def test_doctor_says_how_to_mend_a_back_end_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**os.environ, "MUJOCO_GL": "nonsense"}
    ran = subprocess.run([sys.executable, "-m", "vrodent.commands.gl_probe"], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode != 0 and "nonsense" in ran.stderr
    from vrodent.commands.doctor import Finding, check_drawing

    names = ("drawing with egl", "drawing with osmesa")
    broken = [Finding(name=name, works=False, needed=False, detail="", mend="apt-get install") for name in names]
    assert check_drawing(broken).works is False and "apt-get install" in check_drawing(broken).mend
    working = [Finding(name=name, works=True, needed=False, detail="") for name in names]
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    assert check_drawing(working).works is False and check_drawing(working).mend == "export MUJOCO_GL=egl"
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert check_drawing(working).works is True


def test_settings_are_left_beside_an_output(tmp_path: Path) -> None:
    path = save_resolved(tmp_path / "settings.json", "test", {"where": Path("a") / "b", "tasks": ("gaps",), "seed": 3})
    left = json.loads(path.read_text())
    assert left["command"] == "vrodent test"
    assert left["config"] == {"where": "a/b", "tasks": ["gaps"], "seed": 3}
    assert left["versions"]["mujoco"].startswith("3.17.") and left["versions"]["vrodent"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings.json"]


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot hold"):
        as_json({"function": print})


def test_usage_turns_a_value_error_into_the_users() -> None:
    with pytest.raises(UsageError, match="seven"), usage():
        raise ValueError("seven")


def test_writable_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = writable_folder(tmp_path / "a" / "b")
    assert folder.is_dir() and list(folder.iterdir()) == []
