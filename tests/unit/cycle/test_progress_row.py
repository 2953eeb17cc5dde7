"""The loss curve that a run leaves in the record."""

from retrain.cycle.training import progress_row


def test_the_newest_report_comes_with_the_curve() -> None:
    reports = [{"step": 5, "loss": 2.0, "eta_s": 9.0}, {"step": 10, "loss": 1.5, "eta_s": 4.0}]

    assert progress_row(reports) == {
        "step": 10,
        "loss": 1.5,
        "eta_s": 4.0,
        "curve": [[5, 2.0], [10, 1.5]],
    }


def test_a_resumed_run_counts_its_newest_report_of_a_step() -> None:
    reports = [{"step": 5, "loss": 2.0}, {"step": 10, "loss": 9.0}, {"step": 10, "loss": 1.0}]

    assert progress_row(reports)["curve"] == [[5, 2.0], [10, 1.0]]


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    curve = progress_row([{"step": step, "loss": 1 / step} for step in range(1, 1001)])["curve"]

    assert 60 <= len(curve) <= 120
    assert curve[-1] == [1000, 0.001]


def test_a_second_stage_says_where_it_began() -> None:
    reports = [
        {"step": 5, "loss": 2.0, "stage": "examples"},
        {"step": 6, "loss": 0.7, "stage": "preferences"},
        {"step": 7, "loss": 0.6, "stage": "preferences"},
    ]

    assert progress_row(reports)["second_from"] == 6


def test_no_report_is_no_row() -> None:
    assert progress_row([]) == {}
