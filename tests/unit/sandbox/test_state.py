"""Timestamps, direct conversations, threads, and what a reopened journal gives back."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.errors import SlackError
from bot.sandbox.journal import Journal
from bot.sandbox.richtext import rich_text
from bot.sandbox.state import State
from bot.sandbox.workspace import Workspace, default_workspace
from feedback.clock import FixedClock
from feedback.errors import ConfigurationError, InvalidInputError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def fresh(directory: Path | None = None, clock: FixedClock | None = None) -> State:
    return State(Journal(directory), clock or FixedClock(NOON), default_workspace())


@given(st.lists(st.integers(min_value=-5_000_000, max_value=5_000_000), max_size=30))
def test_timestamps_rise_whatever_the_clock_does(steps_us: list[int]) -> None:
    clock = FixedClock(NOON)
    state = fresh(clock=clock)
    stamps = [state.next_ts()]
    for step_us in steps_us:
        clock.advance(timedelta(microseconds=step_us))
        stamps.append(state.next_ts())
    assert all(earlier < later for earlier, later in pairwise(stamps))
    assert all(len(stamp.partition(".")[2]) == 6 for stamp in stamps)


def test_timestamps_are_the_clock_s() -> None:
    assert fresh().next_ts() == f"{int(NOON.timestamp())}.000000"


def test_a_direct_conversation_is_one_whoever_opens_it() -> None:
    state = fresh()
    first, existed = state.open_im("U0AMIRA001", "U0UNDRSTDY")
    second, existed_then = state.open_im("U0UNDRSTDY", "U0AMIRA001")
    assert first is second
    assert (existed, existed_then) == (False, True)
    with pytest.raises(SlackError, match="user_not_found"):
        state.open_im("U0AMIRA001", "U404")
    with pytest.raises(SlackError, match="invalid_user_combination"):
        state.open_im("U0AMIRA001", "U0AMIRA001")


def test_a_reopened_journal_gives_everything_back_and_time_goes_on(tmp_path: Path) -> None:
    state = fresh(tmp_path)
    channel = state.channel("C0SUPPORT2")
    root = {"ts": state.next_ts(), "user": "U0AMIRA001", "text": "root"}
    reply = {"ts": state.next_ts(), "user": "U0BENNO002", "text": "r", "thread_ts": root["ts"]}
    state.put_message(channel, root)
    state.put_message(channel, reply)
    state.put_view({"id": "V1", "external_id": "", "_owner": "U0AMIRA001"})
    state.put_stack("U0AMIRA001", ["V1"])
    state.journal.commit()
    state.journal.close()

    again = fresh(tmp_path)
    kept = again.channel("C0SUPPORT2")
    shown = again.present(kept, kept.message(root["ts"]))
    assert shown["reply_count"] == 1
    assert shown["reply_users"] == ["U0BENNO002"]
    assert again.present(kept, kept.message(reply["ts"]))["parent_user_id"] == "U0AMIRA001"
    assert again.stacks == {"U0AMIRA001": ["V1"]}
    assert again.next_ts() > reply["ts"]
    again.put_stack("U0AMIRA001", [])
    assert again.views == {}
    again.journal.close()


def test_uncommitted_changes_are_not_kept(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.put("kind", "kept", 1)
    first.commit()
    first.put("kind", "lost", 2)
    first.close(keep=False)
    again = Journal(tmp_path)
    assert again.load("kind") == {"kept": 1}
    again.close()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ConfigurationError, match="choose another with --state-dir"):
        Journal(blocked)


def test_a_seed_survives_json() -> None:
    seed = default_workspace()
    assert Workspace.from_json(seed.to_json()) == seed
    with pytest.raises(InvalidInputError, match="not usable"):
        Workspace.from_json({"people": [{"name": "nobody"}], "channels": []})


def test_rich_text_names_everything_it_meets() -> None:
    block = rich_text("hi <@U1>, see <#C1|support> &amp; <https://a.example|docs> <!here>")
    [section] = block["elements"]
    assert [element["type"] for element in section["elements"]] == [
        "text",
        "user",
        "text",
        "channel",
        "text",
        "link",
        "text",
        "broadcast",
    ]
    assert section["elements"][4]["text"] == " & "
