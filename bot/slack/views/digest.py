"""The weekly digest: what repeats, where it is going, what each fix changed."""

from collections.abc import Iterator

from bot.slack.views.blocks import Block, button, clip, context, escape, markdown
from feedback.domain.digest import Digest, FixEffect, Told
from feedback.domain.pattern import (
    FIXES,
    OFFERED,
    Pattern,
    PatternDecision,
    PatternStatus,
    Signal,
    Verdict,
)

PATTERN_ACTIONS = {
    PatternDecision.ACCEPT: "pattern_accept",
    PatternDecision.REJECT: "pattern_reject",
    PatternDecision.RESOLVE: "pattern_resolve",
}
"""Reopening is for the web page: the digest shows nothing that was settled."""

_LABELS = {
    PatternDecision.ACCEPT: "Accept the fix",
    PatternDecision.REJECT: "Reject",
    PatternDecision.RESOLVE: "It is made",
}
_STANDS = {
    PatternStatus.ACCEPTED: "*accepted*",
    PatternStatus.REJECTED: "*rejected*",
    PatternStatus.RESOLVED: "*resolved*",
    PatternStatus.REGRESSION: "*it came back*",
}
_COSTS = {
    Signal.DOWN_VOTE: ("thumb down", "thumbs down"),
    Signal.HAND_OFF: ("hand-off", "hand-offs"),
    Signal.RE_ASKED: ("asked again", "asked again"),
}
_DRAFT_CHARS = 600
_DRAFTED = {Verdict.DOCUMENT: "Outline", Verdict.PROMPT: "Instruction"}


def digest_text(digest: Digest) -> str:
    """Returns the digest in one sentence."""
    change = f", {digest.before} the week before" if digest.before else ""
    return f"This week in patterns: {_failures(digest.lately)}{change}"


def digest_blocks(digest: Digest) -> list[Block]:
    """Returns the digest with its buttons; block ids change with every decision."""
    blocks: list[Block] = [
        {"type": "header", "text": {"type": "plain_text", "text": "This week in patterns"}},
        markdown(" ".join(_summary(digest))),
    ]
    for told in digest.top:
        blocks += _told(told, digest)
    if digest.fixes:
        blocks.append(markdown("\n".join(["*What fixes changed*", *map(_fix, digest.fixes)])))
    blocks.append(
        context("Every pattern, its answers and its history are on the web page under Patterns.")
    )
    return blocks


def _summary(digest: Digest) -> Iterator[str]:
    if not digest.lately:
        yield "No failure of this week belongs to a pattern."
    else:
        yield f"*{_failures(digest.lately)}* this week, {digest.before} the week before."
    if digest.fresh:
        yield f"{digest.fresh} {'pattern is' if digest.fresh == 1 else 'patterns are'} new."
    if digest.tone is not None:
        yield digest.tone.sentence


def _told(told: Told, digest: Digest) -> Iterator[Block]:
    pattern = told.pattern
    why = escape(" ".join(pattern.verdict_reasons[:1]))
    lines = [
        f"*{escape(clip(_name(pattern), 150))}*  {pattern.kind.replace('_', ' ')}",
        " \u00b7 ".join(_facts(told)),
        f"_Cheapest fix:_ {FIXES[pattern.verdict]}. {why}",
    ]
    block_id = f"pattern-{pattern.id}-{pattern.status}"
    yield markdown("\n".join(lines)) | {"block_id": block_id}
    if pattern.draft:
        title = _DRAFTED.get(pattern.verdict, "Draft")
        draft = escape(clip(pattern.draft, _DRAFT_CHARS)).replace("```", "'''")
        yield markdown(f"{title}:\n```\n{draft}\n```")
    buttons = [
        button(
            _LABELS[decision],
            PATTERN_ACTIONS[decision],
            {"p": pattern.id, "s": pattern.status, "w": int(digest.at.timestamp())},
            style="primary" if decision is PatternDecision.ACCEPT else None,
        )
        for decision in OFFERED[pattern.status]
        if decision in _LABELS
    ]
    if buttons:
        yield {"type": "actions", "elements": buttons, "block_id": f"{block_id}-actions"}


def _facts(told: Told) -> Iterator[str]:
    pattern = told.pattern
    yield f"{told.lately} this week, {told.before} before"
    yield f"{pattern.users} {'person' if pattern.users == 1 else 'people'}"
    for signal, (one, many) in _COSTS.items():
        if count := pattern.signals.get(signal, 0):
            yield f"{count} {one if count == 1 else many}"
    if stands := _STANDS.get(pattern.status):
        yield stands


def _fix(fix: FixEffect) -> str:
    name = escape(clip(_name(fix.pattern), 80))
    if fix.since is None:
        return f"{name}: just fixed; before, {fix.before:.1f} failures a week"
    back = " (it came back)" if fix.pattern.status is PatternStatus.REGRESSION else ""
    return f"{name}: {fix.before:.1f} failures a week before, {fix.since:.1f} since{back}"


def _name(pattern: Pattern) -> str:
    return pattern.label or ", ".join(pattern.keywords) or "without a name"


def _failures(count: int) -> str:
    return f"{count} failure" if count == 1 else f"{count} failures"
