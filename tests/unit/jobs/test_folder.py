"""A job is restarted until it leaves a result; the kernel says whether it still runs."""

import fcntl
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from feedback.errors import PermanentError
from retrain.jobs.folder import JobFolder

# As a job has to: whoever looks meanwhile sees no file or the whole one.
FINISH = (
    "import json,sys,pathlib; p=pathlib.Path(sys.argv[-1]).parent; "
    "save=lambda n,c: ((p/'new').write_text(json.dumps(c)), (p/'new').replace(p/n)); "
)
WRITE = FINISH + "save('result.json', {'n': 1})"
FAIL = FINISH + "save('error.json', {'error': 'loss is nan at step 3'})"
WAIT = "import time; time.sleep(60)"


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the process did not get there"


def test_a_job_leaves_its_result(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    assert job.result() is None
    assert not job.running()
    job.start([sys.executable, "-c", WRITE], {"a": 1}, {})
    _until(lambda: not job.running())
    assert job.result() == {"n": 1}
    assert json.loads((tmp_path / "job" / "spec.json").read_text()) == {"a": 1}


def test_a_running_job_is_seen_by_another_object_and_not_started_twice(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    job.start([sys.executable, "-c", WAIT], {}, {})
    other = JobFolder(tmp_path / "job")
    assert other.running()
    other.start([sys.executable, "-c", WRITE], {}, {})
    assert other.result() is None
    # End it: the lock is freed by the kernel.
    for child in psutil.Process().children():
        if str(tmp_path) in " ".join(child.cmdline()):
            child.kill()
            child.wait()
    assert not other.running()


def test_a_job_that_reports_an_error_is_not_restarted(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    job.start([sys.executable, "-c", FAIL], {}, {})
    _until(lambda: not job.running())
    with pytest.raises(PermanentError, match="loss is nan at step 3"):
        job.result()


def test_a_job_that_keeps_dying_is_given_up_with_its_log(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job", max_starts=2)
    for _ in range(2):
        job.start([sys.executable, "-c", "raise SystemExit('no such base model')"], {}, {})
        _until(lambda: not job.running())
    with pytest.raises(PermanentError, match=r"died 2 times.*no such base model"):
        job.start([sys.executable, "-c", WRITE], {}, {})


def test_a_half_written_progress_line_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert JobFolder(tmp_path).progress() == {"step": 2}
    assert JobFolder(tmp_path / "none").progress() == {}


def test_a_job_that_is_told_to_stop_ends_and_can_go_on(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job", max_starts=1)
    job.start([sys.executable, "-c", WAIT], {}, {})
    JobFolder(tmp_path / "job").stop()
    assert not job.running()
    job.stop()
    job.start([sys.executable, "-c", WRITE], {}, {})
    _until(lambda: job.result() == {"n": 1})


def test_a_job_that_finished_meanwhile_is_not_run_again(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    job.start([sys.executable, "-c", WRITE], {}, {})
    _until(lambda: not job.running())
    job.start([sys.executable, "-c", "raise SystemExit('again')"], {}, {})
    assert not job.running()
    assert job.log_tail() == ""


def test_who_only_looks_is_not_taken_for_the_job_and_costs_no_start(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job", max_starts=1)
    job.path.mkdir()
    with (job.path / "lock").open("w+b") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not job.running()
        job.start([sys.executable, "-c", WRITE], {}, {})
        assert not job.running()
    job.start([sys.executable, "-c", WRITE], {}, {})
    _until(lambda: job.result() == {"n": 1})
