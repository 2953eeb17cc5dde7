"""Which settings of Slack go together; every problem is told at once."""

from bot.slack.installs.cipher import TokenCipher
from feedback.errors import ConfigurationError
from feedback.settings import SlackSettings

_NOWHERE = (
    "SLACK_BOT_TOKEN is not set; set it, or SLACK_CLIENT_ID for installations by OAuth, or start "
    "`understudy up` for a local workspace"
)
_UNSIGNED = "SLACK_SIGNING_SECRET is not set; over HTTP it tells Slack's requests from others'"
_UNCONNECTED = (
    "SLACK_APP_TOKEN is not set; Socket Mode needs an xapp- token with connections:write, or set "
    "UNDERSTUDY_SLACK__TRANSPORT=http"
)


def require_consistent(slack: SlackSettings) -> None:
    """Checks the settings before anything starts.

    Raises:
        ConfigurationError: With every problem found.
    """
    problems = [*_installing(slack), *_delivering(slack)]
    if problems:
        raise ConfigurationError(*problems)


def _installing(slack: SlackSettings) -> list[str]:
    if not slack.client_id:
        return [_NOWHERE] if slack.bot_token is None else []
    problems = []
    if slack.bot_token is not None:
        problems.append(
            "SLACK_BOT_TOKEN and SLACK_CLIENT_ID are both set; one is for a single workspace, the "
            "other for installations by OAuth"
        )
    if slack.review_channel:
        problems.append(
            "UNDERSTUDY_SLACK__REVIEW_CHANNEL is for a single workspace; with SLACK_CLIENT_ID use "
            "`understudy slack review-channel` for each"
        )
    if slack.client_secret is None:
        problems.append("SLACK_CLIENT_SECRET is not set; installations by OAuth need it")
    if not slack.encryption_keys:
        problems.append(
            "UNDERSTUDY_SLACK__ENCRYPTION_KEYS is empty; stored tokens are encrypted: set a JSON "
            "list with one key of `understudy slack new-key`"
        )
    else:
        problems += TokenCipher.problems(slack.encryption_keys)
    return problems


def _delivering(slack: SlackSettings) -> list[str]:
    if slack.transport == "http" and slack.signing_secret is None:
        return [_UNSIGNED]
    if slack.transport == "socket" and slack.app_token is None:
        return [_UNCONNECTED]
    return []
