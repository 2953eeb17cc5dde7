"""`understudy doctor`: checks what a new operator can get wrong, and says how to mend it."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import httpx

from bot.configuring import require_consistent
from deploy.platforms import remote_platform
from deploy.wiring import open_store, style_dir
from feedback.errors import ConfigurationError, UnderstudyError
from feedback.settings import PACKAGED_BASE, Settings, load_settings
from feedback.store.cycles import SCHEDULER_LOOKED_AT
from feedback.tone import StyleGuide
from feedback.tone.scorer import ToneModel

_MIN_FREE_GB = 2.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check: what was looked at, what was found, and the remedy when it is not well."""

    name: str
    well: bool
    found: str
    remedy: str = ""


def doctor() -> None:
    """Check settings, database, models, Slack and disk; exit status 2 when something is wrong."""
    findings = list(examine(load_settings()))
    for finding in findings:
        mark = "ok  " if finding.well else "FAIL"
        print(f"{mark}  {finding.name}: {finding.found}")
        if not finding.well:
            print(f"      mend it: {finding.remedy}")
    bad = sum(not finding.well for finding in findings)
    if bad:
        print(f"{bad} of {len(findings)} checks failed", file=sys.stderr)
        raise SystemExit(2)


def examine(settings: Settings) -> Iterator[Finding]:
    """Yields one finding a check, cheapest first."""
    checks: list[Callable[[Settings], Finding]] = [
        _disk,
        _style_guide,
        _base_model,
        _training_stack,
        _slack,
        _pseudonym_key,
        _server,
        _publishing,
        _database,
    ]
    for check in checks:
        yield check(settings)


def _disk(settings: Settings) -> Finding:
    folder = settings.state_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    return Finding(
        name="disk",
        well=free >= _MIN_FREE_GB,
        found=f"{free:.1f} GB free at {settings.state_dir}",
        remedy=f"free at least {_MIN_FREE_GB:.0f} GB or set UNDERSTUDY_STATE_DIR to another disk",
    )


def _style_guide(settings: Settings) -> Finding:
    folder, scorer = style_dir(settings), settings.tone.scorer
    try:
        StyleGuide.load(folder)
        if scorer is not None:
            ToneModel.load(scorer)
    except UnderstudyError as exc:
        return Finding(
            name="style guide",
            well=False,
            found=str(exc),
            remedy="mend what it names, or set UNDERSTUDY_TONE__STYLE_GUIDE or __SCORER to another",
        )
    beside = f", with {scorer} beside it" if scorer else ""
    return Finding(name="style guide", well=True, found=f"{folder}{beside}")


def _base_model(settings: Settings) -> Finding:
    if settings.model.base == PACKAGED_BASE:
        return Finding(name="base model", well=True, found="the packaged tiny model")
    folder = Path(settings.model.base)
    needed = ("config.json", "tokenizer.json", "tokenizer_config.json")
    missing = [name for name in needed if not (folder / name).exists()]
    return Finding(
        name="base model",
        well=not missing,
        found=f"{folder} lacks {', '.join(missing)}" if missing else str(folder),
        remedy="set BASE_MODEL to a folder with the published snapshot, tokenizer included",
    )


def _training_stack(_: Settings) -> Finding:
    try:
        import torch  # noqa: PLC0415  (seconds to import, and optional for the bot)
    except ImportError:
        return Finding(
            name="training stack",
            well=False,
            found="torch is not installed",
            remedy="pip install 'understudy[train]' where the scheduler or model server runs",
        )
    device = "CUDA" if torch.cuda.is_available() else "CPU only"
    return Finding(name="training stack", well=True, found=f"torch {torch.__version__}, {device}")


def _slack(settings: Settings) -> Finding:
    slack = settings.slack
    bot, app = slack.bot_token, slack.app_token
    if bot is None and not slack.client_id:
        return Finding(
            name="Slack", well=True, found="no tokens: `understudy up` starts the sandbox"
        )
    wrong: list[str] = []
    try:
        require_consistent(slack)
    except ConfigurationError as exc:
        wrong += exc.problems
    if bot is not None and not bot.get_secret_value().startswith("xoxb-"):
        wrong.append("SLACK_BOT_TOKEN is no bot token (xoxb-...)")
    if app is not None and not app.get_secret_value().startswith("xapp-"):
        wrong.append("SLACK_APP_TOKEN is no app-level token (xapp-...)")
    if not wrong and bot is not None:
        wrong += _ask_slack(slack.api_url, bot.get_secret_value())
    return Finding(
        name="Slack",
        well=not wrong,
        found="; ".join(wrong) or ("the token is accepted" if bot else "installations by OAuth"),
        remedy="copy the values from the app's settings page (deploy/slack-manifest.yaml)",
    )


def _ask_slack(api_url: str, token: str) -> list[str]:
    try:
        answer = httpx.post(
            f"{api_url}auth.test", headers={"Authorization": f"Bearer {token}"}, timeout=5.0
        ).json()
    except (httpx.HTTPError, ValueError) as exc:
        return [f"{api_url} cannot be reached: {exc}"]
    return [] if answer.get("ok") else [f"Slack refuses the bot token: {answer.get('error')}"]


def _pseudonym_key(settings: Settings) -> Finding:
    default = type(settings.privacy)().pseudonym_key
    changed = settings.privacy.pseudonym_key != default
    return Finding(
        name="pseudonym key",
        well=changed or (settings.slack.bot_token is None and not settings.slack.client_id),
        found="set" if changed else "the published default",
        remedy="set UNDERSTUDY_PRIVACY__PSEUDONYM_KEY to a secret of your own before real data",
    )


def _server(settings: Settings) -> Finding:
    if not settings.model.url:
        return Finding(name="model server", well=True, found="the stack starts its own")
    try:
        status = httpx.get(f"{settings.model.url.rstrip('/')}/health", timeout=5.0).status_code
    except httpx.HTTPError as exc:
        status, found = 0, f"{settings.model.url} cannot be reached: {exc}"
    else:
        found = f"{settings.model.url}/health answers {status}"
    return Finding(
        name="model server",
        well=status == 200,
        found=found,
        remedy="start TGI there, or unset TGI_URL to use the local server",
    )


def _publishing(settings: Settings) -> Finding:
    try:
        platform = remote_platform(settings)
    except ConfigurationError as exc:
        return Finding(
            name="publishing",
            well=False,
            found=str(exc),
            remedy="see docs/how-to/publishing.md for what this platform needs",
        )
    if platform is not None:
        asyncio.run(platform.close())
    return Finding(name="publishing", well=True, found=settings.publish.platform)


def _database(settings: Settings) -> Finding:
    try:
        return asyncio.run(_ask_database(settings))
    except UnderstudyError as exc:
        return Finding(
            name="database",
            well=False,
            found=str(exc),
            remedy="start PostgreSQL with pgvector and run `understudy db upgrade`",
        )


async def _ask_database(settings: Settings) -> Finding:
    async with open_store(settings) as store, store.begin() as tx:
        looked = await tx.switches.get(SCHEDULER_LOOKED_AT)
    where = "embedded"
    if settings.database_url is not None:
        where = urlparse(settings.database_url.get_secret_value()).hostname or "local socket"
    seen = f"the scheduler last looked at {looked}" if looked else "no scheduler has run yet"
    return Finding(name="database", well=True, found=f"{where}, at this version; {seen}")
