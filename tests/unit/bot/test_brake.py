"""The brake outside the database: a flag file and the environment."""

from pathlib import Path

from feedback.brake import Brake
from feedback.settings import load_settings


def test_a_flag_file_pulls_it_and_says_why(tmp_path: Path) -> None:
    brake = Brake.of(load_settings({"UNDERSTUDY_STATE_DIR": str(tmp_path / "state")}))
    assert not brake.pulled()
    brake.pull("amira: it answers nonsense\nand more")
    assert brake.pulled()
    assert brake.reason().endswith("FREEZE: amira: it answers nonsense")
    brake.release()
    brake.release()
    assert not brake.pulled()


def test_the_file_may_lie_where_every_bot_sees_it(tmp_path: Path) -> None:
    shared = tmp_path / "shared-stop"
    brake = Brake.of(load_settings({"UNDERSTUDY_EXPERIMENT__FREEZE_FILE": str(shared)}))
    shared.touch()
    assert brake.pulled()
    assert str(shared) in brake.reason()


def test_the_environment_holds_for_the_life_of_the_process(tmp_path: Path) -> None:
    brake = Brake.of(
        load_settings({"UNDERSTUDY_EXPERIMENT__FREEZE": "1", "UNDERSTUDY_STATE_DIR": str(tmp_path)})
    )
    brake.release()
    assert brake.pulled()
    assert "UNDERSTUDY_EXPERIMENT__FREEZE" in brake.reason()
