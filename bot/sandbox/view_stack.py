"""Modals in a stack of at most three a person, and App Home views."""

import copy
import json
import secrets
from collections.abc import Iterator

from bot.sandbox.blocks import block_problems
from bot.sandbox.errors import SlackError, invalid
from bot.sandbox.feed import Feed
from bot.sandbox.jsontypes import Json
from bot.sandbox.messages import with_ids
from bot.sandbox.state import State

MAX_DEPTH = 3
MAX_VIEW_BYTES = 250_000


class ViewStack:
    """Opens, replaces and closes views, and shows every change in the feed of their owner."""

    def __init__(self, state: State, feed: Feed) -> None:
        self._state = state
        self._feed = feed

    def open(self, user: str, view: Json) -> Json:
        """Opens a modal; one that was open before gives way."""
        made = self._make(user, view, "modal")
        made["root_view_id"] = made["id"]
        self._state.put_view(made)
        self._state.put_stack(user, [made["id"]])
        self._tell(user)
        return made

    def push(self, user: str, view: Json) -> Json:
        """Puts a modal on top of the open ones.

        Raises:
            SlackError: `not_found` without an open modal, `push_limit_reached`.
        """
        stack = self._state.stacks.get(user) or []
        if not stack:
            raise SlackError("not_found")
        if len(stack) >= MAX_DEPTH:
            raise SlackError("push_limit_reached")
        made = self._make(user, view, "modal")
        made |= {"root_view_id": stack[0], "previous_view_id": stack[-1]}
        self._state.put_view(made)
        self._state.put_stack(user, [*stack, made["id"]])
        self._tell(user)
        return made

    def replace(self, old: Json, view: Json, expected_hash: str | None = None) -> Json:
        """Replaces the content of a view in place.

        Raises:
            SlackError: `hash_conflict`, or the view is not usable.
        """
        if expected_hash not in {None, "", old["hash"]}:
            raise SlackError("hash_conflict")
        made = self._make(old["_owner"], view, old["type"], self_id=old["id"])
        kept = ("id", "root_view_id", "previous_view_id", "_owner")
        old_values = {key: old[key] for key in kept}
        old.clear()
        old.update(made | old_values)
        self._state.put_view(old)
        self._tell(old["_owner"])
        return old

    def publish(self, user: str, view: Json, expected_hash: str | None) -> Json:
        """Publishes the App Home of a person.

        Raises:
            SlackError: `hash_conflict`, or the view is not usable.
        """
        current = self._state.views.get(self._state.homes.get(user, ""))
        if current is not None:
            return self.replace(current, view, expected_hash)
        if expected_hash:
            raise SlackError("hash_conflict")
        made = self._make(user, view, "home")
        made["root_view_id"] = made["id"]
        self._state.put_view(made)
        self._state.put_home(user, made["id"])
        self._tell(user)
        return made

    def close(self, user: str, view_id: str) -> None:
        """Closes one modal; those below it stay open."""
        stack = [v for v in self._state.stacks.get(user, []) if v != view_id]
        self._state.put_stack(user, stack)
        self._tell(user)

    def clear(self, user: str) -> None:
        """Closes every modal of a person."""
        self._state.put_stack(user, [])
        self._tell(user)

    def top(self, user: str) -> Json | None:
        """Returns the modal a person sees, if any."""
        stack = self._state.stacks.get(user) or []
        return self.present(self._state.views[stack[-1]]) if stack else None

    def home(self, user: str) -> Json | None:
        """Returns the App Home of a person, if published."""
        view = self._state.views.get(self._state.homes.get(user, ""))
        return self.present(view) if view else None

    def find(self, view_id: str | None, external_id: str | None = None) -> Json:
        """Returns a view by either id.

        Raises:
            SlackError: `not_found`.
        """
        if view_id in self._state.views:
            return self._state.views[view_id]
        for view in self._state.views.values():
            if external_id and view["external_id"] == external_id:
                return view
        raise SlackError("not_found")

    def present(self, view: Json) -> Json:
        """Returns a view as the Web API shows it."""
        return copy.deepcopy({k: v for k, v in view.items() if not k.startswith("_")})

    def _make(self, user: str, view: Json, kind: str, self_id: str | None = None) -> Json:
        check_view(view, kind)
        external_id = view.get("external_id") or ""
        for other in self._state.views.values():
            if external_id and other["external_id"] == external_id and other["id"] != self_id:
                raise SlackError("duplicate_external_id")
        space = self._state.workspace
        return {
            "id": "V" + secrets.token_hex(5).upper(),
            "team_id": space.team_id,
            "type": kind,
            "title": view.get("title"),
            "submit": view.get("submit"),
            "close": view.get("close"),
            "blocks": with_ids(view["blocks"]),
            "private_metadata": view.get("private_metadata") or "",
            "callback_id": view.get("callback_id") or "",
            "external_id": external_id,
            "state": {"values": {}},
            "hash": f"{self._state.next_ts()}.{secrets.token_hex(4)}",
            "clear_on_close": bool(view.get("clear_on_close")),
            "notify_on_close": bool(view.get("notify_on_close")),
            "previous_view_id": None,
            "root_view_id": "",
            "app_id": space.app_id,
            "app_installed_team_id": space.team_id,
            "bot_id": space.bot_id,
            "_owner": user,
        }

    def _tell(self, user: str) -> None:
        self._feed.append("view", only_for=user, modal=self.top(user), home=self.home(user))


def check_view(view: Json, kind: str) -> None:
    """Refuses what Slack refuses.

    Raises:
        SlackError: `view_too_large`, or `invalid_arguments` with every problem listed.
    """
    if len(json.dumps(view, ensure_ascii=False).encode()) > MAX_VIEW_BYTES:
        raise SlackError("view_too_large")
    problems = list(_view_problems(view, kind))
    if problems:
        raise invalid("invalid_arguments", problems)


def _view_problems(view: Json, kind: str) -> Iterator[str]:
    if view.get("type") != kind:
        yield f"view type must be {kind!r}, got {view.get('type')!r} [/view/type]"
    blocks = view.get("blocks")
    if not isinstance(blocks, list):
        yield "missing required field: blocks [/view]"
        return
    if len(blocks) > 100:
        yield "no more than 100 items allowed [/view/blocks]"
    yield from block_problems(blocks, surface=kind)
    if kind == "modal":
        yield from _modal_problems(view, blocks)
    limits = {"private_metadata": 3000, "callback_id": 255, "external_id": 255}
    for key, limit in limits.items():
        if len(view.get(key) or "") > limit:
            yield f"must be less than {limit + 1} characters [/view/{key}]"


def _modal_problems(view: Json, blocks: list[Json]) -> Iterator[str]:
    for key in ("title", "submit", "close"):
        if len((view.get(key) or {}).get("text", "")) > 24:
            yield f"must be less than 25 characters [/view/{key}/text]"
    if not (view.get("title") or {}).get("text"):
        yield "missing required field: title [/view]"
    if any(block.get("type") == "input" for block in blocks) and not view.get("submit"):
        yield "must define `submit` to use an input block [/view/submit]"
