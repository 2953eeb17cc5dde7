"""What settings make of a run and of its gates."""

from feedback.settings import load_settings
from retrain.cycle.assembly import gate_policy_for, recipe_for
from retrain.training import PreferenceRecipe

ASKED = {"UNDERSTUDY_RETRAIN__PREFERENCE": "dpo", "UNDERSTUDY_RETRAIN__PREFERENCE_PAIRS": "7"}


def test_there_is_no_second_stage_unless_somebody_asks_for_it() -> None:
    assert recipe_for(load_settings({})).preference is None
    assert recipe_for(load_settings(ASKED)).preference == PreferenceRecipe(min_pairs=7)


def test_a_large_base_moves_slowly_in_its_second_stage() -> None:
    second = recipe_for(load_settings({**ASKED, "BASE_MODEL": "/models/8b"})).preference
    assert second is not None
    assert (second.learning_rate, second.min_pairs) == (5e-6, 7)


def test_slices_stop_as_settings_say() -> None:
    plain = gate_policy_for(load_settings({}))
    assert (plain.slice_margin, plain.improve_slices, plain.slices_must_tell) == (0.2, (), False)
    policy = gate_policy_for(
        load_settings(
            {
                "UNDERSTUDY_RETRAIN__GATE_MARGINS": '{"slices": 0.05}',
                "UNDERSTUDY_RETRAIN__IMPROVE_SLICES": '["tag: billing"]',
                "UNDERSTUDY_RETRAIN__SLICES_MUST_TELL": "true",
            }
        )
    )
    assert policy.slice_margin == 0.05
    assert (policy.improve_slices, policy.slices_must_tell) == (("tag: billing",), True)
