"""Whatever models and documents say, nothing that people see calls anybody."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.drafts import Source
from bot.slack.views.answers import answer_blocks, tail_blocks
from bot.slack.views.blocks import escape, neutral
from bot.slack.views.progress import searching, text_chunk
from bot.slack.views.splitting import answer_parts

CALLS = ["<@U0AMIRA001>", "<!here>", "<!channel>", "<!everyone>", "<!subteam^S1|x>", "<#C1|y>"]
ODD = st.lists(
    st.one_of(st.text(max_size=15), st.sampled_from([*CALLS, "|", ">", "<", "&lt;", "\\"])),
    max_size=12,
).map("".join)
SOURCES = st.lists(
    st.builds(
        lambda title, path, web: Source(title=title, uri=f"https://docs.example/{path}" * web),
        ODD,
        ODD,
        st.booleans(),
    ),
    max_size=3,
)


def strings(value: Any) -> list[str]:  # noqa: ANN401  (JSON holds anything)
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def calls(value: Any) -> list[str]:  # noqa: ANN401
    return [text for text in strings(value) if re.search(r"<[@!#]", text)]


@given(text=ODD, sources=SOURCES)
def test_answers_and_sources_call_nobody(text: str, sources: list[Source]) -> None:
    for part in answer_parts(text * 40, 300):
        assert not calls(answer_blocks("i-1", part, sources))
        assert not calls(text_chunk(escape(part)))


@given(sources=SOURCES)
def test_links_lead_only_where_documents_say(sources: list[Source]) -> None:
    shown = json.dumps(tail_blocks("i-1", sources))
    for address in re.findall(r"<([^|>]*)\|", shown):
        assert address.startswith(("https://", "http://"))


@given(sources=SOURCES)
def test_steps_call_nobody(sources: list[Source]) -> None:
    assert not calls(searching("i-1", "complete", sources))


@given(text=ODD)
def test_neutral_text_has_no_brackets(text: str) -> None:
    assert not set(neutral(text)) & {"<", ">"}
