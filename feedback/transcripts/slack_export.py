"""Reads the zip that Slack's "Export workspace data" makes.

It holds `users.json`, `channels.json` and, per channel, a folder with one file of messages a day.
A thread whose first message is a person's question becomes one interaction: the question, the bot's
reply if there was one, and the person's reply that people approved most as the candidate
correction. Direct messages and private channels are left out.
"""

import html
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from feedback.domain.interaction import InteractionRecord
from feedback.errors import InvalidInputError

Messages = Sequence[Mapping[str, Any]]

_MAX_ENTRY_BYTES = 256 * 1024 * 1024
_DAY_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.json$")
_APPROVAL = frozenset(
    {
        "white_check_mark",
        "heavy_check_mark",
        "ballot_box_with_check",
        "+1",
        "thumbsup",
        "100",
        "pray",
    }
)
# Subtypes under which a person still says something; joins, topics and the like say nothing.
_SPEAKING = frozenset({None, "thread_broadcast", "file_share", "me_message"})
_CHANNEL = re.compile(r"<#C[A-Z0-9]+\|([^>]*)>")
_SPECIAL = re.compile(r"<!(?:subteam\^[A-Z0-9]+\|)?([^>|]+)(?:\|[^>]*)?>")
_QUESTION = re.compile(
    r"\?|^(?:hi|hello|hey)?[\s,!]*(?:how|what|when|where|why|who|which|can|could|does|do|is"
    r"|are|should|any(?:one|body)"
    r"|please|help|i need|i can'?t|we can'?t)\b",
    re.IGNORECASE,
)
_MIN_REPLY_WORDS = 3


@dataclass(kw_only=True)
class SlackExport:
    """An opened export.

    Attributes:
        users: Rows of `users.json`.
        counts: What was seen while threads were read.
        problems: Files that could not be read, with the reason.
    """

    path: Path
    users: Messages = ()
    channels: Sequence[str] = ()
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> "SlackExport":
        """Reads the lists of users and channels.

        Raises:
            InvalidInputError: When the file is no zip, or no Slack export.
        """
        export = cls(path=path)
        with _archive(path) as archive:
            names = set(archive.namelist())
            for wanted in ("channels.json", "users.json"):
                if wanted not in names:
                    raise InvalidInputError(
                        f"{path} holds no {wanted}: it is not an export of a Slack workspace"
                    )
            export.users = _load(archive, "users.json")
            channels = _load(archive, "channels.json")
        export.channels = [str(channel["name"]) for channel in channels if channel.get("name")]
        return export

    def interactions(self) -> Iterator[InteractionRecord]:
        """Yields one interaction for every answered question, channel by channel."""
        bots = {str(user.get("id")) for user in self.users if user.get("is_bot")} | {"USLACKBOT"}
        with _archive(self.path) as archive:
            for channel in self.channels:
                messages = self._channel(archive, channel)
                for root, replies in _threads(messages):
                    self._count("threads")
                    record = self._interaction(channel, root, replies, bots)
                    if record is not None:
                        yield record

    def _channel(self, archive: zipfile.ZipFile, channel: str) -> list[Mapping[str, Any]]:
        messages: list[Mapping[str, Any]] = []
        for name in sorted(archive.namelist()):
            folder, _, day = name.rpartition("/")
            if folder != channel or not _DAY_FILE.fullmatch(day):
                continue
            try:
                rows = _load(archive, name)
            except InvalidInputError as exc:
                self.problems.append((name, str(exc)))
                continue
            messages.extend(row for row in rows if row.get("type") == "message" and row.get("ts"))
        self._count("messages", len(messages))
        return messages

    def _interaction(
        self, channel: str, root: Mapping[str, Any], replies: Messages, bots: set[str]
    ) -> InteractionRecord | None:
        question = plain(str(root.get("text", "")))
        if not _by_person(root, bots) or not _QUESTION.search(question.strip()):
            return None
        self._count("questions")
        asker = str(root.get("user"))
        answers = [reply for reply in replies if not _by_person(reply, bots) and reply.get("text")]
        human = [
            reply
            for reply in replies
            if _by_person(reply, bots)
            and reply.get("user") != asker
            and len(str(reply.get("text", "")).split()) >= _MIN_REPLY_WORDS
        ]
        self._count("human_replies", len(human))
        if not human and not answers:
            return None
        best = max(human, key=_approval) if human else None
        self._count("interactions")
        return InteractionRecord(
            id=f"slack-{channel}-{root['ts']}",
            thread_id=f"slack-{channel}-{root['ts']}",
            user_id=asker,
            ts=float(root["ts"]),
            question=question,
            answer=plain(str(answers[0]["text"])) if answers else "",
            correction=plain(str(best["text"])) if best is not None else None,
            extra={
                "source": "slack_export",
                "channel": channel,
                "approvals": _approval(best) if best is not None else 0,
                "other_replies": [plain(str(r["text"])) for r in human if r is not best],
            },
        )

    def _count(self, key: str, by: int = 1) -> None:
        self.counts[key] = self.counts.get(key, 0) + by


def plain(text: str) -> str:
    """Returns Slack's message text with channel names and entities written out.

    Mentions of people and links stay as they are, for the redactor to replace.
    """
    named = _SPECIAL.sub(r"@\1", _CHANNEL.sub(r"#\1", text))
    return html.unescape(named)


def _threads(messages: Messages) -> Iterator[tuple[Mapping[str, Any], Messages]]:
    replies: dict[str, list[Mapping[str, Any]]] = {}
    roots: dict[str, Mapping[str, Any]] = {}
    for message in messages:
        thread = message.get("thread_ts")
        if thread is None or thread == message["ts"]:
            roots[str(message["ts"])] = message
        else:
            replies.setdefault(str(thread), []).append(message)
    for ts in sorted(replies, key=float):
        if ts in roots:
            yield roots[ts], sorted(replies[ts], key=lambda reply: float(reply["ts"]))


def _by_person(message: Mapping[str, Any], bots: set[str]) -> bool:
    speaks = message.get("subtype") in _SPEAKING and not message.get("bot_id")
    return speaks and bool(message.get("user")) and message.get("user") not in bots


def _approval(message: Mapping[str, Any]) -> int:
    return sum(
        int(reaction.get("count", 1))
        for reaction in message.get("reactions") or ()
        if str(reaction.get("name", "")).partition("::")[0] in _APPROVAL
    )


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as exc:
        raise InvalidInputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except zipfile.BadZipFile as exc:
        raise InvalidInputError(f"{path} is no zip file: {exc}") from exc


def _load(archive: zipfile.ZipFile, name: str) -> list[Mapping[str, Any]]:
    size = archive.getinfo(name).file_size
    if size > _MAX_ENTRY_BYTES:
        raise InvalidInputError(f"{name} unpacks to {size} bytes; at most {_MAX_ENTRY_BYTES}")
    try:
        rows = json.loads(archive.read(name))
    except (ValueError, RuntimeError, zipfile.BadZipFile) as exc:  # RuntimeError: encrypted
        raise InvalidInputError(f"{name} cannot be read: {exc}") from exc
    if not isinstance(rows, list):
        raise InvalidInputError(f"{name} holds no list")
    return [row for row in rows if isinstance(row, dict)]
