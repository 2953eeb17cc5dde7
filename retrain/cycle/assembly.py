"""Puts a cycle together from what the composition root hands in: one place that knows all steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from feedback.clock import Clock
from feedback.domain.cycle import CycleState
from feedback.mining.naming import Namer
from feedback.mining.patterns import MiningPolicy
from feedback.ports import Embedder
from feedback.prompting import PromptPolicy
from feedback.redaction import REDACTION_VERSION
from feedback.samples import generic_dialogues
from feedback.serving.tgi import TgiTextGenerator
from feedback.settings import PACKAGED_BASE, Settings
from feedback.store.unit_of_work import Store
from feedback.tone import StyleGuide
from feedback.tone.scorer import ToneModel
from feedback.why import WhyPolicy
from retrain.base_model import base_model_path
from retrain.cycle.building import BuildingStep, DatasetSources
from retrain.cycle.by_hand import Promotions
from retrain.cycle.evaluating import EvaluatingStep, EvaluationSetup, GatingStep
from retrain.cycle.experimenting import ExperimentingStep
from retrain.cycle.holdback import HoldbackWatch, PromotingStep
from retrain.cycle.mining import MiningStep, PatternMiner
from retrain.cycle.overriding import Overrides
from retrain.cycle.publishing import EXTERNAL, Publisher, PublishingStep
from retrain.cycle.runner import CycleRunner, Step
from retrain.cycle.staging import experiment_setup
from retrain.cycle.training import TrainingSetup, TrainingStep
from retrain.cycle.trials import TrialMover, no_term
from retrain.cycle.weighing import WeighingStep
from retrain.dataset.cleaning import DatasetChecks
from retrain.dataset.policy import DatasetPolicy, TrainOn
from retrain.dataset.privacy import leftover_check
from retrain.dataset.rows import ReplayRow
from retrain.gates.policy import GatePolicy, tiny_base_policy
from retrain.jobs.folder import JobFolder
from retrain.publishing.prover import AdapterProver
from retrain.publishing.registry import AdapterRegistry
from retrain.publishing.vllm_probe import VllmProbe
from retrain.publishing.watching import DeploymentWatch
from retrain.scheduling.digest import WeeklyDigest
from retrain.scheduling.schedule import CycleSchedule
from retrain.training.process import ray_command, training_command
from retrain.training.spec import (
    PreferenceRecipe,
    QloraRecipe,
    production_preference,
    production_recipe,
)

_REPLAY_SEED = 20_260_105


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """What the scheduler process runs.

    Attributes:
        watch: Looks whether the server in use still answers with its adapters.
        overrides: Promotions by hand of experiments that are over.
        holdback: Watches a promoted champion.
        runs: Folder of the training runs and evaluations.
    """

    runner: CycleRunner
    publisher: Publisher
    watch: DeploymentWatch
    overrides: Overrides
    holdback: HoldbackWatch
    digest: WeeklyDigest
    runs: Path

    def stop_jobs(self) -> None:
        """Ends the processes that train or evaluate; the next scheduler starts them again."""
        for lock in self.runs.rglob("lock"):
            JobFolder(lock.parent).stop()


def base_folder(settings: Settings) -> Path:
    """Returns the folder of the base snapshot that settings name.

    Raises:
        ConfigurationError: When the packaged base is not installed.
    """
    if settings.model.base == PACKAGED_BASE:
        return base_model_path()
    return Path(settings.model.base)


def publishing_platform(settings: Settings) -> str:
    """Returns who runs the model servers; `external` when settings only say where one is."""
    platform = settings.publish.platform
    return EXTERNAL if platform == "process" and settings.model.url else platform


def recipe_for(settings: Settings) -> QloraRecipe:
    """Returns the hyperparameters: measured ones for the packaged base, production ones else."""
    packaged, pairs = settings.model.base == PACKAGED_BASE, settings.retrain.preference_pairs
    second = PreferenceRecipe(min_pairs=pairs) if packaged else production_preference(pairs)
    return replace(
        QloraRecipe() if packaged else production_recipe(),
        threads=settings.retrain.threads,
        max_steps=settings.retrain.max_steps,
        preference=second if settings.retrain.preference == "dpo" else None,
    )


def gate_policy_for(settings: Settings) -> GatePolicy:
    """Returns the gates: strict for production, wider for the packaged base.

    Raises:
        ConfigurationError: When a margin in the settings is impossible or belongs to no gate.
    """
    policy = tiny_base_policy() if settings.model.base == PACKAGED_BASE else GatePolicy()
    return replace(
        policy.with_margins(settings.retrain.gate_margins),
        improve_slices=settings.retrain.improve_slices,
        slices_must_tell=settings.retrain.slices_must_tell,
    )


def replay_rows(n: int) -> list[ReplayRow]:
    """Returns `n` generic dialogues, the same ones every time."""
    return [
        ReplayRow(id=f"replay-{number}", messages=dialogue.messages, completion=dialogue.completion)
        for number, dialogue in enumerate(generic_dialogues(_REPLAY_SEED, n))
    ]


def assemble(
    settings: Settings,
    store: Store,
    clock: Clock,
    embedder: Embedder,
    *,
    style_dir: Path,
    environment: Mapping[str, str],
    term: Callable[[], int | None] = no_term,
    namer: Namer | None = None,
) -> Retraining:
    """Builds the runner with every step.

    Args:
        settings: Of the process.
        store: The record.
        clock: Real or simulated time.
        embedder: For mining and splitting.
        style_dir: The style guide's folder.
        environment: Of training and evaluation processes.
        term: The number of this process's leadership: an older leader's moves are refused.
        namer: Names patterns; None leaves the keywords.

    Raises:
        ConfigurationError: When the base snapshot, style guide or schedule is unusable.
    """
    base_dir = base_folder(settings)
    guide = StyleGuide.load(style_dir)
    runs = settings.state_dir / "runs"
    setup = EvaluationSetup(
        base_id=settings.model.base,
        base_dir=base_dir,
        registry=AdapterRegistry(settings.state_dir / "adapters"),
        style_dir=style_dir,
        benchmark=settings.retrain.benchmark,
        external=settings.retrain.external_sets,
        max_tokens=settings.model.max_tokens,
        threads=settings.retrain.threads,
        folder=runs,
        environment=environment,
    )
    prover = AdapterProver(
        base_dir,
        base_id=settings.model.base,
        token=settings.model.api_key.get_secret_value(),
        precision=settings.model.precision,
        shards=settings.model.shards,
        connect=VllmProbe if settings.publish.platform == "vllm" else TgiTextGenerator,
    )
    watch = DeploymentWatch(
        store,
        clock,
        prover,
        every_s=settings.model.recheck_s,
        operators_channel=settings.slack.operators_channel,
    )
    publisher = Publisher(
        store,
        clock,
        prover,
        settings.model.base,
        platform=publishing_platform(settings),
        external_url=settings.model.url,
    )
    promotions = Promotions(clock=clock, operators_channel=settings.slack.operators_channel)
    mover = TrialMover(clock=clock, operators_channel=settings.slack.operators_channel, term=term)
    scorer = ToneModel.load(settings.tone.scorer) if settings.tone.scorer else None
    miner = PatternMiner(store, clock, embedder, guide, MiningPolicy(), scorer, namer)
    steps: dict[CycleState, Step] = {
        CycleState.MINING: MiningStep(miner),
        CycleState.WEIGHING: WeighingStep(
            store, WhyPolicy.of(settings).thresholds, settings.privacy.training_consent
        ),
        CycleState.BUILDING: BuildingStep(
            store, clock, embedder, _sources(settings, guide), _dataset_policy(settings),
            settings.state_dir / "datasets",
        ),
        CycleState.TRAINING: TrainingStep(
            store,
            clock,
            recipe_for(settings),
            TrainingSetup(
                base_id=settings.model.base,
                base_dir=base_dir,
                folder=runs,
                environment=environment,
                command=_launcher(settings),
                max_hours=settings.retrain.max_hours,
            ),
        ),
        CycleState.EVALUATING: EvaluatingStep(store, clock, setup),
        CycleState.GATING: GatingStep(
            store, clock, setup, gate_policy_for(settings), settings.slack.operators_channel
        ),
        CycleState.PUBLISHING: PublishingStep(store, publisher),
        CycleState.EXPERIMENTING: ExperimentingStep(
            store, clock, experiment_setup(settings, store, clock, guide), promotions, mover
        ),
        CycleState.PROMOTING: PromotingStep(store, clock, mover),
    }  # fmt: skip
    schedule = CycleSchedule(settings.retrain.schedule)
    runner = CycleRunner(
        store,
        clock,
        schedule,
        steps,
        settings.slack.operators_channel,
        settings.experiment.challengers,
    )
    digest = WeeklyDigest(
        store,
        clock,
        CycleSchedule(settings.mining.digest, "UNDERSTUDY_MINING__DIGEST"),
        miner,
        channel=settings.slack.operators_channel,
    )
    return Retraining(
        runner=runner,
        publisher=publisher,
        watch=watch,
        overrides=Overrides(store, mover, promotions),
        holdback=HoldbackWatch(store, clock, mover),
        digest=digest,
        runs=runs,
    )


def _launcher(settings: Settings) -> list[str]:
    if settings.retrain.launcher == "ray":
        return ray_command(settings.retrain.ray_workers, settings.retrain.ray_address)
    return training_command()


def _dataset_policy(settings: Settings) -> DatasetPolicy:
    return DatasetPolicy(
        holdout_share=settings.retrain.holdout,
        replay_share=settings.retrain.replay_share,
        # Each epoch rehearses something else: seen again and again, dialogues are learnt by heart.
        replay_variety=recipe_for(settings).epochs,
        required_labels=settings.retrain.label_gate,
        source_weights=settings.retrain.source_weights,
        source_shares=settings.retrain.source_shares,
        train_on=TrainOn(settings.privacy.training_consent),
    )


def _sources(settings: Settings, guide: StyleGuide) -> DatasetSources:
    return DatasetSources(
        replay=replay_rows,
        checks=DatasetChecks(
            leftovers=leftover_check(),
            style=lambda text: [
                violation.rule for violation in guide.check(text) if violation.level == "error"
            ],
        ),
        prompt=PromptPolicy.of(settings.bot),
        consent=settings.privacy.training_consent,
        redaction_version=REDACTION_VERSION,
    )
