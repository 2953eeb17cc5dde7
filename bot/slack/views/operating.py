"""What `/understudy` answers. Nobody sees which arm of an experiment answered what."""

from collections.abc import Iterator
from datetime import datetime

from bot.orders import NEEDS, Help, Reply, Said, Status, Verb
from bot.slack.orders import CANCEL_ACTION, COMMAND, CONFIRM_ACTION
from bot.slack.views.blocks import Block, button, clip, context, escape, markdown, person
from bot.slack.views.digest import digest_blocks, digest_text
from feedback.domain.digest import Digest
from feedback.domain.operating import Confirmation, OperatorAct, Standing, model_name
from feedback.domain.outlook import Gate, GateState, Outlook, describe_gate
from feedback.domain.person import Role
from feedback.domain.trial import decision_words, stage_words
from feedback.domain.why import WhyReport

_MEANINGS = {
    Verb.STATUS: "who is on stage, what runs, what waits",
    Verb.WHY: "why (not) this week: every gate, what is missing, when it may open",
    Verb.PATTERNS: "this week in patterns: what repeats, the cheapest fix, what fixes changed",
    Verb.PAUSE: "let no new thread join the experiment; say why, of several name one first",
    Verb.RESUME: "let new threads join it again",
    Verb.FREEZE: "send every new question to the champion at once; say why after it",
    Verb.UNFREEZE: "let running experiments go on",
    Verb.PROMOTE: "make the challenger the champion by hand; say why, of several name one first",
    Verb.ROLLBACK: "go back to the previous champion; say why after it",
    Verb.FORGET: "erase what is stored about you",
    Verb.HELP: "this list",
}
_MARKS = {
    GateState.OPEN: ":white_check_mark:",
    GateState.CLOSED: ":hourglass_flowing_sand:",
    GateState.NOTE: ":information_source:",
}
_GATES_IN_A_BLOCK = 6
_ENDS = {0: "", 1: " The running experiment ends."}


def render(reply: Reply) -> tuple[str, list[Block]]:
    """Returns what is read aloud, and the blocks."""
    match reply:
        case Help():
            return "What I understand", _help(reply)
        case Status():
            return "Status", _status(reply)
        case WhyReport():
            return "Why (not) this week", _why(reply)
        case Digest():
            return digest_text(reply), digest_blocks(reply)
        case Confirmation():
            text = _question(reply)
            return text, _confirmation(reply, text)
        case Said():
            return reply.text, [markdown(reply.text)]


def _help(reply: Help) -> list[Block]:
    lines = [
        f"`{COMMAND} {verb}` {meaning}"
        for verb, meaning in _MEANINGS.items()
        if reply.role.includes(NEEDS[verb])
    ]
    if reply.role.includes(Role.ADMIN):
        lines.append(f"`{COMMAND} forget @somebody` erase what is stored about them")
    return [markdown("\n".join(lines)), context(f"You are here as {reply.role}.")]


def _status(status: Status) -> list[Block]:
    return [markdown("\n".join(_facts(status))), context(*_pulse(status))]


def _facts(status: Status) -> Iterator[str]:
    now = status.standing
    if status.brake is not None and status.brake.value == "on":
        yield (
            f":snowflake: *Frozen* since {_when(status.brake.set_at)} by "
            f"{person(status.brake.set_by)}: the champion answers every new question."
        )
    since = f" since {_when(status.champion_since)}" if status.champion_since else ""
    yield f"*Champion*: {escape(model_name(now.champion_id))}{since}"
    if now.champion_id is not None:
        yield f"*A rollback leads to*: {escape(model_name(now.previous_id))}"
    yield f"*Served*: the base model{''.join(f', {escape(name)}' for name in status.served)}"
    if not status.trials:
        yield "*Experiment*: none is running"
    for trial in status.trials:
        yield (
            f"*Experiment*: {escape(trial.challenger_id)} is {stage_words(trial)}, since "
            f"{_when(trial.started_at)}; "
            f"the evidence says {_evidence(trial.decision)}"
        )
    yield from _cycles(status)
    if status.next_cycle_at is not None:
        yield f"*Next cycle*: {_when(status.next_cycle_at)}"
    labels = status.labels
    yield (
        f"*Labels*: {labels.trainable:,} of {status.label_gate:,}; "
        f"{labels.waiting:,} wait for a reviewer"
    )


def _cycles(status: Status) -> Iterator[str]:
    for cycle in status.cycles:
        yield f"*Cycle*: {cycle.id} is at {cycle.state}"
    if status.cycles:
        return
    if status.last is None:
        yield "*Cycle*: none has run yet"
        return
    outcome = (status.last.outcome or status.last.state).replace("_", " ")
    yield f"*Last cycle*: {outcome}. {escape(status.last.reason or '')}"


def _pulse(status: Status) -> Iterator[str]:
    backlog = status.backlog
    yield f"Waiting: {backlog.inbox_waiting} deliveries, {backlog.outbox_waiting} effects"
    if backlog.inbox_failed or backlog.outbox_failed:
        yield (
            f":warning: given up: {backlog.inbox_failed} deliveries, "
            f"{backlog.outbox_failed} effects"
        )
    looked = f"looked {_when(status.looked_at)}" if status.looked_at else "has never looked"
    yield f"The scheduler {looked}"


def _why(report: WhyReport) -> list[Block]:
    return [block for outlook in report.outlooks for block in _outlook(outlook)]


def _outlook(outlook: Outlook) -> list[Block]:
    expected = ""
    if outlook.closed:
        expected = (
            f" Expected {_day(outlook.expected)}, if it goes on like this."
            if outlook.expected is not None
            else " Nobody can tell yet when."
        )
    blocks: list[Block] = [
        {"type": "header", "text": {"type": "plain_text", "text": clip(outlook.title, 150)}},
        markdown(f"{escape(outlook.headline)}{expected}"),
    ]
    lines = [_gate(gate) for gate in outlook.gates]
    return blocks + [
        markdown("\n".join(lines[start : start + _GATES_IN_A_BLOCK]))
        for start in range(0, len(lines), _GATES_IN_A_BLOCK)
    ]


def _gate(gate: Gate) -> str:
    return f"{_MARKS[gate.state]} *{escape(gate.gate)}*: {escape(clip(describe_gate(gate), 300))}"


def _question(asked: Confirmation) -> str:
    if asked.act is OperatorAct.FORGET:
        whom = str(asked.shown["user"])
        who = "you" if whom == asked.user_id else f"<@{whom}>"
        wrote = "you wrote" if whom == asked.user_id else "they wrote"
        return (
            f"Erase what is stored about {who}? Questions, answers, corrections, comments and "
            f"names go for good. What {wrote} in Slack itself stays there."
        )
    seen = Standing.from_row(asked.shown)
    champion = escape(model_name(seen.champion_id))
    if asked.act is OperatorAct.ROLLBACK and seen.promotion_waits:
        waits = escape(", ".join(seen.waiting))
        return f"Withdraw the promotion that waits ({waits})? *{champion}* stays the champion."
    if asked.act is OperatorAct.ROLLBACK:
        ends = _ENDS.get(seen.running, f" All {seen.running} running experiments end.")
        return (
            f"Go back from *{champion}* to *{escape(model_name(seen.previous_id))}*, "
            f"from the next question on?{ends}"
        )
    tested = (
        "Its experiment ended undecided"
        if seen.undecided
        else f"The experiment is in {seen.state}, and its evidence says {_evidence(seen.decision)}"
    )
    return (
        f"Make *{escape(str(seen.challenger_id))}* the champion instead of *{champion}*? "
        f"{tested}; your word goes over it."
    )


def _confirmation(asked: Confirmation, text: str) -> list[Block]:
    labels = {
        OperatorAct.PROMOTE: "Promote",
        OperatorAct.ROLLBACK: "Roll back",
        OperatorAct.FORGET: "Erase for good",
    }
    value = {"k": asked.id}
    blocks = [markdown(text)]
    if asked.reason:
        blocks.append(context(f"Why: {escape(asked.reason)}"))
    buttons: Block = {
        "type": "actions",
        "elements": [
            button(labels[asked.act], CONFIRM_ACTION, value, style="danger"),
            button("Cancel", CANCEL_ACTION, value),
        ],
    }
    return [*blocks, buttons, context(f"Good until {_time(asked.expires_at)}, and once.")]


def _evidence(decision: str | None) -> str:
    return escape(decision_words(decision)) if decision else "nothing yet"


def _when(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return _date(moment, "{date_short_pretty} {time}", f"{moment:%Y-%m-%d %H:%M} UTC")


def _day(moment: datetime) -> str:
    return _date(moment, "{date_long}", f"{moment:%Y-%m-%d}")


def _time(moment: datetime) -> str:
    return _date(moment, "{time}", f"{moment:%H:%M} UTC")


def _date(moment: datetime, pattern: str, fallback: str) -> str:
    """Returns a moment that Slack shows in everybody's own time zone."""
    return f"<!date^{int(moment.timestamp())}^{pattern}|{fallback}>"
