"""One typed, grouped settings object, read once at the entry; the only reader of the environment.

Every variable is `UNDERSTUDY_<GROUP>__<FIELD>` (for example `UNDERSTUDY_BOT__WORKERS=8`). The names
that the tools around us already use are accepted too: DATABASE_URL, SLACK_BOT_TOKEN,
SLACK_APP_TOKEN, SLACK_SIGNING_SECRET, SLACK_CLIENT_ID, SLACK_CLIENT_SECRET, BASE_MODEL, TGI_URL,
EMBED_URL, RETRAIN_LAUNCHER.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from feedback.errors import ConfigurationError

PACKAGED_BASE = "understudy/tiny-base"
"""Id of the tiny base model that comes with the project."""


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SlackSettings(_Group):
    """How to reach Slack. Without tokens the local stack starts the sandbox workspace."""

    bot_token: SecretStr | None = None
    """`xoxb-...` of the bot user."""
    app_token: SecretStr | None = None
    """`xapp-...` for Socket Mode."""
    transport: Literal["socket", "http"] = "socket"
    """How deliveries come in: Socket Mode, or signed HTTP to `/slack/events`."""
    socket_connections: int = Field(default=2, ge=1, le=10)
    """Socket Mode connections of one process; Slack permits ten of all processes together."""
    signing_secret: SecretStr | None = Field(default=None, min_length=8)
    """Checks that a request over HTTP comes from Slack."""
    http_host: str = "127.0.0.1"
    """Where HTTP deliveries and the installation pages are served; a proxy adds TLS."""
    http_port: int = Field(default=8630, ge=0, le=65535)
    """Port of the same."""
    client_id: str = ""
    """OAuth: installs in many workspaces; leave SLACK_BOT_TOKEN unset then."""
    client_secret: SecretStr | None = None
    """OAuth: the app's client secret."""
    redirect_url: str = ""
    """OAuth: public address of `/slack/oauth_redirect`, as in the app's settings; empty: the
    first one there."""
    encryption_keys: tuple[SecretStr, ...] = ()
    """Fernet keys for stored tokens: the first encrypts, all decrypt. `understudy slack new-key`
    makes one."""
    erase_on_uninstall: bool = True
    """Erase what is stored about a workspace that uninstalls the app."""
    api_url: str = "https://slack.com/api/"
    """Base URL of the Web API; the sandbox's when it runs."""
    review_channel: str = ""
    """Channel id for review cards; empty: reviewers use the App Home and the web page."""
    reviewers_group: str = ""
    """Handle of the user group whose members review corrections; empty: roles are set by hand."""
    admins_group: str = ""
    """Handle of the user group whose members are admins, besides Slack's workspace admins."""
    handoff_group: str = ""
    """Handle of the user group that is called when the bot does not know; empty: nobody is."""
    handoff_hours: float = Field(default=8.0, gt=0)
    """Hours after which a question that a colleague took and did not answer is called out again."""
    parked_days: float = Field(default=30.0, gt=0)
    """Days that deliveries of a workspace without a good token wait for its next installation;
    then they are erased."""
    rate_share: float = Field(default=1.0, ge=0, le=1)
    """Part of Slack's rate tiers that this process uses: with two bot processes give each 0.5. 0
    asks no questions and only obeys when Slack refuses: for a workspace on simulated time."""
    operators_channel: str = ""
    """Channel id for cycle and experiment notices; empty: none are posted."""
    operators_team: str = ""
    """Workspace of the operators' channel, whose admins may freeze, promote and roll back; needed
    with OAuth, else the only one there is."""


class ModelSettings(_Group):
    """The base model and where it is served."""

    base: str = PACKAGED_BASE
    """Hugging Face id or folder; `understudy/tiny-base` is the model packaged with the project."""
    url: str = ""
    """TGI's URL. Empty: the active deployment row says where (the local stack keeps it)."""
    embed_url: str = ""
    """URL with a TEI `/embed` route. Empty: the active deployment's."""
    api_key: SecretStr = SecretStr("-")
    """TGI's --api-key; never the Hugging Face token."""
    embed_api_key: SecretStr = SecretStr("-")
    """TEI's --api-key, for an `embed_url` of its own; elsewhere `api_key` is sent."""
    max_tokens: int = Field(default=96, ge=1, le=4096)
    """Longest answer in tokens."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Deadline of a whole answer in seconds."""
    precision: Literal["fp32", "half"] = "fp32"
    """How the model server computes. `half` for GPU servers in float16 or bfloat16: proofs then
    ask which signature answers are nearest to, where fp32 demands equal tokens."""
    shards: int = Field(default=1, ge=1, le=64)
    """GPUs that one model server is spread over: ranks of adapters must be worth dividing."""
    recheck_s: float = Field(default=60.0, gt=0)
    """Real seconds between two checks that the server in use still answers with its adapters."""


class BotSettings(_Group):
    """Answering."""

    workers: int = Field(default=8, ge=1, le=256)
    """Questions answered at once by one process."""
    lease_s: float = Field(default=120.0, gt=1)
    """Seconds after which another worker may take over a question."""
    max_attempts: int = Field(default=7, ge=1)
    """Tries before a question is given up with an apology: seven are about a minute."""
    retry_s: float = Field(default=1.0, gt=0, le=60)
    """Seconds before what failed is tried a second time; doubled for each further try."""
    retrieve: int = Field(default=4, ge=0, le=20)
    """Chunks looked up for a question."""
    context_words: int = Field(default=40, ge=0, le=4000)
    """Words of retrieved text in the prompt; the packaged tiny model reads about 40."""
    instructions: str = ""
    """System message for a base that follows instructions: where an accepted instruction goes. The
    packaged tiny model does not; without instructions no training waits for one."""
    stream_channels: bool = False
    """Stream in channels too: there only the asker sees live text, so DMs stream by default."""


class ReviewSettings(_Group):
    """How corrections are decided."""

    second_share: float = Field(default=0.0, ge=0, le=1)
    """Share of corrections that need a second, independent decision; 0.1 shows how far reviewers
    agree (Cohen's kappa) at a tenth more work. Needs two reviewers besides the author."""
    positive_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the answers with a thumb up that reviewers look at too: liked is not yet right."""
    claim_hours: float = Field(default=24.0, gt=0)
    """Hours after which a claimed correction that was not decided is free for others again."""


class PrivacySettings(_Group):
    """Redaction and what may train."""

    pseudonym_key: SecretStr = SecretStr("change-me-understudy-pseudonym-key")
    """Keys the HMAC of placeholder maps; keep it outside the database."""
    training_consent: Literal["reviewer_authored", "consenting", "all"] = "reviewer_authored"
    """What may become a training row; docs/decisions says why (Slack's API terms)."""


class RetrainSettings(_Group):
    """When and how to train."""

    schedule: str = "0 3 * * sun"
    """Cron expression of the weekly cycle, in UTC."""
    label_gate: int = Field(default=5000, ge=1)
    """Distinct, clean examples needed before an adapter is trained."""
    min_fine_tune_failures: int = Field(default=50, ge=1)
    """Failures in patterns with the verdict fine-tune needed before an adapter is trained."""
    untried_share: float = Field(default=0.2, ge=0, le=1)
    """Share of the failures that may wait for a document or an instruction which nobody has
    accepted or rejected; above it no adapter is trained. 1 never holds a training up."""
    holdout: float = Field(default=0.2, ge=0.05, le=0.5)
    """Share of example groups that is never trained on."""
    replay_share: float = Field(default=0.5, ge=0, le=0.9)
    """Share of training rows that rehearse generic skills."""
    tick_s: float = Field(default=5.0, gt=0)
    """Real seconds between two looks of the scheduler."""
    max_steps: int | None = Field(default=None, ge=1)
    """Upper bound of the steps of a stage; unset, all epochs of the recipe are trained."""
    preference: Literal["off", "dpo"] = "off"
    """`dpo` trains a second stage on corrections and the wrong answers beside them."""
    preference_pairs: int = Field(default=100, ge=1)
    """With fewer such pairs the second stage is left out, and the run says so."""
    max_hours: float = Field(default=24, gt=0)
    """A run that is estimated to take longer is refused before it starts."""
    benchmark: Path | None = None
    """JSONL of held-out questions (as holdout.jsonl) to measure beside the gates."""
    external_sets: tuple[Path, ...] = ()
    """JSON list of published question sets (GSM8K, XSTest, TruthfulQA as JSONL); each is a gate."""
    source_weights: dict[str, float] = Field(default_factory=dict)
    """How often an epoch shows rows of a source, as JSON (`{"imported": 0.5}`). Sources:
    `correction`, `approved`, `human_reply`, `imported`, `replay`; each counts once if absent."""
    source_shares: dict[str, float] = Field(default_factory=dict)
    """Largest share of the clean rows that a source may give, as JSON (`{"human_reply": 0.3}`)."""
    gate_margins: dict[str, float] = Field(default_factory=dict)
    """Falls that gates tolerate, by metric, as JSON (`{"facts": 0.02}`); the others keep theirs.
    `slices` is that of every slice."""
    improve_slices: tuple[str, ...] = ()
    """JSON list of slices that must get better by themselves (`["pattern: refund, late"]`)."""
    slices_must_tell: bool = False
    """Whether a slice with too few held-out questions stops a candidate; else it is only shown."""
    launcher: Literal["local", "ray"] = "local"
    """Where training runs: in a process of this machine, or on Ray (`understudy[ray]`)."""
    ray_address: str = ""
    """Of a Ray cluster, which must share the state folder; empty starts one on this machine."""
    ray_workers: int = Field(default=1, ge=1)
    """Processes, each with a GPU where there are GPUs, that share every batch of a run on Ray."""
    threads: int = Field(default=1, ge=1, le=64)
    """CPU threads of a training process."""


class PublishSettings(_Group):
    """Where model servers run, and how a new adapter gets onto them without downtime."""

    platform: Literal["process", "compose", "kubernetes", "vllm"] = "process"
    """Who runs the servers. With `process` and TGI_URL set somebody else does, and nothing is
    published to them."""
    launcher: str = ""
    """`process`: command line of a server, such as `text-generation-launcher --model-id /model`;
    empty: `understudy model-server`. It gets LORA_ADAPTERS and PORT as variables, and `{port}`
    in its words."""
    host: str = "127.0.0.1"
    """`process`, `compose`: under which name bots reach this host."""
    compose_file: Path = Path("deploy/compose.tgi.yaml")
    """`compose`: file with the services `tgi-blue` and `tgi-green`."""
    volume: Path | None = None
    """Folder that the servers see too, to which adapters are copied; unset, they read them where
    they lie."""
    mount: str = ""
    """The same folder as the servers see it; empty: under the same path."""
    replicas: tuple[str, ...] = ()
    """`vllm`: URL of every server, each reached directly; TGI_URL is the one in front of them."""
    namespace: str = "understudy"
    """`kubernetes`: namespace of the Deployment."""
    deployment: str = "understudy-tgi"
    """`kubernetes`: the Deployment whose LORA_ADAPTERS is patched."""
    container: str = "tgi"
    """`kubernetes`: its container that serves."""
    start_timeout_s: float = Field(default=900.0, gt=0)
    """Real seconds that new servers get until all of them answer; then the publish has failed."""
    linger_s: float = Field(default=10.0, ge=0)
    """Real seconds between the flip and the end of the old servers."""
    drain_s: float = Field(default=120.0, gt=0)
    """`process`, `compose`: real seconds that an old server gets to finish its answers."""


class MiningSettings(_Group):
    """What goes wrong again and again."""

    digest: str = "0 8 * * mon"
    """Cron expression, in UTC: mine, and tell the week in patterns in the operators' channel."""
    labels: Literal["keywords", "model"] = "keywords"
    """`model` lets the served base model name patterns, from redacted questions; what it says must
    keep to their words, else the keywords stand."""


class ToneSettings(_Group):
    """The house voice."""

    style_guide: Path | None = None
    """Folder of Vale-compatible rules; unset, the sample company's."""
    scorer: Path | None = None
    """What `understudy tone learn` wrote; mining judges answers by it beside the rules."""


class ExperimentSettings(_Group):
    """How a challenger is tried."""

    profile: Literal["default", "low_traffic"] = "default"
    """Constants of the experiment; `low_traffic` below about 100 threads a day."""
    challengers: int = Field(default=1, ge=1, le=8)
    """How many challengers may be tried at the same time. With K each of them needs K times the
    evidence, and the server holds K adapters more; an experiment keeps what held at its start."""
    slow_floor_s: float = Field(default=5.0, ge=0)
    """Answers within this many seconds never count as slow. Above it, slower than 95 % of the
    champion's answers before the experiment is slow."""
    approval: bool = False
    """A proven challenger waits for an admin's approval (72 hours, then the test goes on)."""
    holdback_days: float = Field(default=14.0, ge=0)
    """The previous champion keeps a tenth of new threads this long after a promotion, to take it
    back by itself when the new one turns out worse; 0 ends the watch at the promotion."""
    shadow_questions: int = Field(default=20, ge=0, le=1000)
    """Real questions that a challenger answers for nobody before it meets people."""
    pair_votes: bool = False
    """Reviewers compare those answers blind; their votes are half of the evidence then."""
    freeze: bool = False
    """Sends every new turn to the last known good model, with or without a database."""
    freeze_file: Path | None = None
    """While this file exists the same holds; unset, `FREEZE` in the state folder."""


class WebSettings(_Group):
    """Dashboard and health routes."""

    host: str = "127.0.0.1"
    """Any other than a loopback address needs a token."""
    port: int = Field(default=8600, ge=0, le=65535)
    token: SecretStr | None = Field(default=None, min_length=16)
    """Opens the pages, by the login form or as `Authorization: Bearer`; unset, nobody is asked."""


class StackSettings(_Group):
    """The all-in-one local stack."""

    sandbox_port: int = Field(default=8610, ge=0, le=65535)
    """Port of the sandbox workspace and its page."""
    model_ports: tuple[int, int] = (8620, 8621)
    """The two ports between which the model server moves at a publish (blue and green)."""


_PREFIX = "UNDERSTUDY_"
_ALIASES = {
    "DATABASE_URL": "UNDERSTUDY_DATABASE_URL",
    "SLACK_BOT_TOKEN": "UNDERSTUDY_SLACK__BOT_TOKEN",
    "SLACK_APP_TOKEN": "UNDERSTUDY_SLACK__APP_TOKEN",
    "SLACK_SIGNING_SECRET": "UNDERSTUDY_SLACK__SIGNING_SECRET",
    "SLACK_CLIENT_ID": "UNDERSTUDY_SLACK__CLIENT_ID",
    "SLACK_CLIENT_SECRET": "UNDERSTUDY_SLACK__CLIENT_SECRET",
    "BASE_MODEL": "UNDERSTUDY_MODEL__BASE",
    "TGI_URL": "UNDERSTUDY_MODEL__URL",
    "EMBED_URL": "UNDERSTUDY_MODEL__EMBED_URL",
    "RETRAIN_LAUNCHER": "UNDERSTUDY_RETRAIN__LAUNCHER",
}


class Settings(BaseSettings):
    """Everything an operator can set, in one frozen object."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    state_dir: Path = Path(".understudy")
    """Where the embedded database, adapters, datasets and reports live."""
    database_url: SecretStr | None = None
    """PostgreSQL with pgvector; unset, an embedded one starts in the state folder."""
    clock_file: Path | None = None
    """A file holding simulated time; unset, time is real."""
    slack: SlackSettings = SlackSettings()
    model: ModelSettings = ModelSettings()
    bot: BotSettings = BotSettings()
    review: ReviewSettings = ReviewSettings()
    privacy: PrivacySettings = PrivacySettings()
    retrain: RetrainSettings = RetrainSettings()
    publish: PublishSettings = PublishSettings()
    mining: MiningSettings = MiningSettings()
    tone: ToneSettings = ToneSettings()
    experiment: ExperimentSettings = ExperimentSettings()
    web: WebSettings = WebSettings()
    stack: StackSettings = StackSettings()

    @field_validator("state_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()


class _Environment(EnvSettingsSource):
    """Variables given as a mapping instead of the process's own environment."""

    def __init__(self, settings: type[BaseSettings], variables: Mapping[str, str]) -> None:
        super().__init__(settings)
        self.env_vars = {name.lower(): value for name, value in variables.items()}


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Reads the settings once.

    Args:
        environment: Variables to read instead of the process's own; for tests.

    Raises:
        ConfigurationError: With every problem found, each naming its variable.
    """
    source = os.environ if environment is None else environment  # noqa: TID251
    variables = {name: value for name, value in source.items() if name.startswith(_PREFIX)}
    for alias, name in _ALIASES.items():
        if source.get(alias):
            variables[name] = source[alias]

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: object, **__: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (_Environment(settings_cls, variables),)

    problems = [
        f"{name} is not a setting; docs/reference/settings.md lists the names"
        for name in variables
        if name.removeprefix(_PREFIX).lower().partition("__")[0] not in Settings.model_fields
    ]
    try:
        settings = Loaded()
    except ValidationError as exc:
        problems += [_explain(error["loc"], error["type"], error["msg"]) for error in exc.errors()]
    except SettingsError as exc:
        problems.append(f"{exc}: a list or a nested value must be JSON")
    if problems:
        raise ConfigurationError(*problems)
    return settings


def child_environment(settings: Settings, **overrides: str) -> dict[str, str]:
    """Returns the environment for a process of ours: this one's, the state folder, overrides.

    Args:
        settings: Of this process.
        **overrides: Variables by their full names.
    """
    environment = {name: os.environ[name] for name in os.environ}  # noqa: TID251
    environment["UNDERSTUDY_STATE_DIR"] = str(settings.state_dir)
    if settings.clock_file is not None:
        environment["UNDERSTUDY_CLOCK_FILE"] = str(settings.clock_file)
    return {**environment, **overrides}


def _explain(path: tuple[int | str, ...], kind: str, message: str) -> str:
    parts = [str(part) for part in path if not isinstance(part, int)]
    name = _PREFIX + "__".join(parts).upper()
    shown = next((alias for alias, full in _ALIASES.items() if full == name), name)
    if kind == "extra_forbidden":
        return f"{shown} is not a setting; docs/reference/settings.md lists the names"
    return f"{shown}: {message}"
