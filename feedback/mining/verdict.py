"""The cheapest fix that would work, by rules read from the top: the first that holds decides.

Data and documents come before weights: training on an answer that no document holds teaches the
model to state what it cannot look up, and training on contradicting corrections teaches nothing.
"""

from collections.abc import Callable

import numpy as np

from feedback.domain.interaction import Reason
from feedback.domain.pattern import PatternKind, Verdict
from feedback.mining.case import Case, Decision
from feedback.mining.changes import contradicts, exact_facts, substance
from feedback.mining.drafts import (
    format_instruction,
    outline,
    phrase_instruction,
    refusal_instruction,
)
from feedback.mining.kinds import Failure
from feedback.mining.rank import distinct_people

Rule = Callable[[Case], Decision | None]


def decide(case: Case) -> Decision:
    """Returns the first rule's decision that holds; unclear cases go to people."""
    for rule in RULES:
        if (decision := rule(case)) is not None:
            return decision
    return Decision(
        verdict=Verdict.PEOPLE,
        reasons=("Nobody has said what is wrong or what the right answer is: a reviewer must.",),
        evidence_ids=case.ids(lambda failure: failure.change is None),
    )


def _hold(case: Case) -> Decision | None:
    count = len(case.failures)
    people = distinct_people([failure.record for failure in case.failures])
    reasons = []
    if count < case.policy.min_failures:
        reasons.append(f"Only {count} failures so far; {case.policy.min_failures} are needed.")
    if people < case.policy.min_people:
        reasons.append(f"It hit {people} person; at least {case.policy.min_people} are needed.")
    return Decision(verdict=Verdict.HOLD, reasons=tuple(reasons)) if reasons else None


def _injection(case: Case) -> Decision | None:
    if case.kind is not PatternKind.INJECTION_ATTEMPT:
        return None
    return Decision(
        verdict=Verdict.PEOPLE,
        reasons=("The questions try to change the bot's instructions: never train on them.",),
        evidence_ids=case.ids(lambda failure: failure.kind is PatternKind.INJECTION_ATTEMPT),
    )


def _out_of_scope(case: Case) -> Decision | None:
    limit = case.policy.out_of_scope_score

    def far(failure: Failure) -> bool:
        found = bool(failure.record.retrieved)
        return found and failure.top_score is not None and failure.top_score < limit

    corrected = case.share(lambda failure: failure.change is not None)
    if case.share(far) < 0.8 or corrected >= case.policy.majority:
        return None
    return Decision(
        verdict=Verdict.OUT_OF_SCOPE,
        reasons=(f"The best document scores below {limit:g} and nobody corrected the answers.",),
        evidence_ids=case.ids(far),
    )


def _conflict(case: Case) -> Decision | None:
    pairs, against = _twins(case)
    if not against or len(against) < case.policy.conflict_share * pairs:
        return None
    rows = sorted({row for pair in against for row in pair})
    found = f"Corrections contradict in {len(against)} of {pairs} pairs of the same question"
    return Decision(
        verdict=Verdict.PEOPLE,
        reasons=(f"{found}: reviewers must agree first.",),
        evidence_ids=tuple(case.failures[row].record.id for row in rows),
    )


def _twins(case: Case) -> tuple[int, list[tuple[int, int]]]:
    """Counts corrected pairs of the same question and lists those that contradict."""
    # "Yes, please" twice is not the same question twice: only questions with a subject count.
    rows = [
        number
        for number, failure in enumerate(case.failures)
        if failure.record.correction and len(substance(failure.record.question)) >= 2
    ]
    rows = rows[-case.policy.sample :]
    if len(rows) < 2:
        return 0, []
    likeness = case.questions[rows] @ case.questions[rows].T
    first, second = np.nonzero(np.triu(likeness >= case.policy.twin_cosine, k=1))
    pairs, against = 0, []
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        left, right = rows[one], rows[other]
        asked = [exact_facts(case.failures[row].record.question) for row in (left, right)]
        if asked[0] != asked[1]:
            continue
        pairs += 1
        cosine = None
        if case.corrections is not None:
            cosine = float(case.corrections[left] @ case.corrections[right])
        texts = [case.failures[row].record.correction or "" for row in (left, right)]
        if contradicts(texts[0], texts[1], cosine=cosine):
            against.append((left, right))
    return pairs, against


def _stale(case: Case) -> Decision | None:
    if case.kind is not PatternKind.STALE_KNOWLEDGE:
        return None
    cited = sorted({h.doc_id for f in case.failures for h in f.record.retrieved[:1]})
    named = f" Cited: {', '.join(cited[:3])}." if cited else ""
    return Decision(
        verdict=Verdict.DOCUMENT,
        reasons=(f"People call the answers outdated: refresh the document.{named}",),
        evidence_ids=case.ids(lambda failure: Reason.OUTDATED in failure.record.reasons),
        draft=outline(case),
    )


def _missing(case: Case) -> Decision | None:
    """No document answers the question, as far as the input can tell."""
    if case.kind in {PatternKind.TONE, PatternKind.INJECTION_ATTEMPT}:
        return None
    limit = case.policy.missing_score
    known = [failure for failure in case.failures if failure.top_score is not None]

    def unanswered(failure: Failure) -> bool:
        return failure.top_score is not None and failure.top_score < limit

    if known:
        if sum(map(unanswered, known)) < case.policy.majority * len(known):
            return None
        shows, reason = (
            unanswered,
            f"Nothing retrieved answers it: the best score is below {limit:g}.",
        )
    elif case.kind is PatternKind.MISSING_KNOWLEDGE:
        shows, reason = _lacks, "The answers lack information that people had to add."
    else:
        return None
    looked = [f.found_now for f in case.failures if shows(f) and f.found_now is not None]
    found = sum(score >= limit for score in looked)
    if looked and found >= case.policy.majority * len(looked):
        since = sum(1 for failure in known if not unanswered(failure))
        return _written(case, found, len(looked), since)
    return Decision(
        verdict=Verdict.DOCUMENT,
        reasons=(reason,),
        evidence_ids=case.ids(shows),
        draft=outline(case),
    )


def _lacks(failure: Failure) -> bool:
    return failure.kind is PatternKind.MISSING_KNOWLEDGE


def _written(case: Case, found: int, looked: int, since: int) -> Decision | None:
    """The documents answer by now what they did not when people asked.

    Args:
        case: The pattern.
        found: Questions that today's documents answer.
        looked: Questions that were looked up again.
        since: Failures although a document was there.
    """
    if since >= case.policy.min_failures:
        return None  # it was not, or not only, the document
    return Decision(
        verdict=Verdict.DOCUMENT,
        reasons=(f"The documents answer it by now: {found} of {looked} questions find theirs.",),
        evidence_ids=case.ids(lambda failure: failure.found_now is not None),
        mended=True,
    )


def _prompt(case: Case) -> Decision | None:
    if case.previous is not None and case.previous.verdict is Verdict.PROMPT and _came_back(case):
        return None
    for finder in (format_instruction, refusal_instruction, phrase_instruction):
        found = finder(case)
        if found is not None:
            reason, instruction, evidence = found
            return Decision(
                verdict=Verdict.PROMPT,
                reasons=(reason,),
                evidence_ids=evidence,
                draft=instruction,
            )
    return None


def _came_back(case: Case) -> bool:
    """Whether the pattern was resolved before and has new members: the cheap fix did not hold."""
    assert case.previous is not None
    resolved = case.previous.status.value in {"resolved", "regression"}
    old = set(case.previous.member_ids)
    return resolved and any(failure.record.id not in old for failure in case.failures)


def _tone(case: Case) -> Decision | None:
    if case.kind is not PatternKind.TONE:
        return None
    return Decision(
        verdict=Verdict.FINE_TUNE,
        reasons=("The content is right and the tone is not, in more ways than one instruction.",),
        evidence_ids=case.ids(lambda failure: failure.kind is PatternKind.TONE),
    )


def _wrong_with_source(case: Case) -> Decision | None:
    def taught(failure: Failure) -> bool:
        return failure.change is not None

    # Silent failures (asked again, handed off) say that it is wrong, not what is right.
    said = sum(1 for failure in case.failures if failure.record.failed)
    if sum(map(taught, case.failures)) < 0.2 * max(said, 1):
        return None
    known = any(failure.top_score is not None for failure in case.failures)
    reason = (
        "The right document was retrieved and the answer is still wrong."
        if known
        else "Reviewers agree on other answers, and no missing document shows in the rows."
    )
    return Decision(verdict=Verdict.FINE_TUNE, reasons=(reason,), evidence_ids=case.ids(taught))


RULES: tuple[Rule, ...] = (
    _hold,
    _injection,
    _out_of_scope,
    _conflict,
    _stale,
    _missing,
    _prompt,
    _tone,
    _wrong_with_source,
)
"""In this order; the order is the policy."""
