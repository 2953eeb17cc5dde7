"""Puts together how experiments are run, as settings say."""

from collections.abc import Sequence
from typing import Any

from feedback.clock import Clock
from feedback.domain.rollout import Route
from feedback.errors import UnavailableError
from feedback.ports import Generation, GenerationOptions, Message
from feedback.prompting import PromptPolicy
from feedback.serving.tgi import TgiTextGenerator
from feedback.settings import Settings
from feedback.store.unit_of_work import Store
from feedback.tone import StyleGuide
from retrain.cycle.shadow import Ask, ShadowPlan, ShadowReplay
from retrain.cycle.stage import ExperimentSetup
from retrain.experiments.policy import ExperimentPolicy, shared_traffic

PAIR_PART = 0.5
"""Part of the promote evidence that blind votes carry where reviewers cast them."""


def experiment_setup(
    settings: Settings, store: Store, clock: Clock, guide: StyleGuide
) -> ExperimentSetup:
    """Returns how experiments are run.

    Raises:
        InvalidInputError: When a constant is out of range.
    """
    wanted = settings.experiment
    policy: dict[str, Any] = {
        "profile": wanted.profile,
        **shared_traffic(wanted.profile, wanted.challengers),
        "holdback_days": wanted.holdback_days,
        "pair_part": PAIR_PART if wanted.pair_votes else 0.0,
    }
    ExperimentPolicy.of(policy)  # refused now, not at the first experiment
    plan = ShadowPlan(
        last=wanted.shadow_questions,
        prompt=PromptPolicy.of(settings.bot),
        votes=wanted.pair_votes,
    )
    return ExperimentSetup(
        policy=policy,
        slow_floor_ms=wanted.slow_floor_s * 1000,
        approval=wanted.approval,
        shadow=ShadowReplay(store, clock, _ask(settings), guide, plan),
    )


def _ask(settings: Settings) -> Ask:
    model = settings.model
    options = GenerationOptions(max_tokens=model.max_tokens, timeout_s=model.timeout_s)

    async def ask(route: Route, messages: Sequence[Message], adapter: str) -> Generation:
        url = model.url or route.url
        if url is None:
            raise UnavailableError("no model server is deployed; start `understudy up`")
        client = TgiTextGenerator(
            url,
            adapters=route.served,
            base_name=route.base_name,
            token=model.api_key.get_secret_value(),
        )
        try:
            return await client.chat(messages, adapter=adapter, options=options)
        finally:
            await client.aclose()

    return ask
