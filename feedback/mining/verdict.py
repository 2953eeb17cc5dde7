"""The cheapest fix that would work, by rules read from the top: the first that holds decides.

Data and documents come before weights: training on an answer that no document holds teaches the
model to state what it cannot look up, and training on contradicting corrections teaches nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from feedback.domain.interaction import Reason
from feedback.domain.pattern import PatternKind, PreviousPattern, Verdict
from feedback.domain.text import normalise, sentences, words
from feedback.knowledge.analysis import stem
from feedback.mining.changes import contradicts, exact_facts, substance
from feedback.mining.kinds import Failure
from feedback.mining.rank import distinct_people
from feedback.ports import Vectors


@dataclass(frozen=True, kw_only=True)
class VerdictPolicy:
    """Thresholds of the rules.

    Attributes:
        min_failures: A pattern with fewer is held.
        min_people: A pattern that hit fewer distinct people is held.
        missing_score: A best retrieval score below this means that no document answers.
        out_of_scope_score: A best score below this means that the subject is not the bot's.
        majority: Share of the members that must show a sign.
        twin_cosine: Questions at least this alike ask the same.
        conflict_share: Share of corrected twins that contradict from which people must settle it.
        sample: At most this many members are compared pair by pair.
    """

    min_failures: int = 5
    min_people: int = 2
    missing_score: float = 0.45
    out_of_scope_score: float = 0.15
    majority: float = 0.5
    twin_cosine: float = 0.8
    conflict_share: float = 0.2
    sample: int = 200


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A verdict with its reasons, the rows that show it, and a first draft of the fix.

    Attributes:
        mended: The record shows that the fix is made, so the pattern is resolved.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    evidence_ids: tuple[str, ...] = ()
    draft: str = ""
    mended: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """One pattern as the rules see it.

    Attributes:
        questions: Vectors of the members' questions, one row a failure.
        corrections: Vectors of their corrections (zero rows without one); None when unknown.
        previous: The same pattern in the run before, when it was there.
    """

    failures: Sequence[Failure]
    kind: PatternKind
    keywords: Sequence[str]
    questions: Vectors
    corrections: Vectors | None = None
    previous: PreviousPattern | None = None
    policy: VerdictPolicy = field(default_factory=VerdictPolicy)

    def share(self, holds: Callable[[Failure], bool]) -> float:
        """Returns the share of the members for which `holds` is true."""
        return sum(1 for failure in self.failures if holds(failure)) / len(self.failures)

    def ids(self, holds: Callable[[Failure], bool]) -> tuple[str, ...]:
        """Returns the ids of the members for which `holds` is true."""
        return tuple(failure.record.id for failure in self.failures if holds(failure))


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
        draft=_outline(case),
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
        draft=_outline(case),
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
    for finder in (_format_instruction, _refusal_instruction, _phrase_instruction):
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


Found = tuple[str, str, tuple[str, ...]] | None


def _format_instruction(case: Case) -> Found:
    def layout(failure: Failure) -> bool:
        by_reason = Reason.FORMAT in failure.record.reasons
        return by_reason or (failure.change is not None and failure.change.format)

    def wordy(failure: Failure) -> bool:
        return Reason.TOO_WORDY in failure.record.reasons

    if case.share(layout) >= case.policy.majority:
        return (
            "The words are right and the layout is not.",
            "Lay answers out as the corrections do: short paragraphs, steps as a numbered list.",
            case.ids(layout),
        )
    if case.share(wordy) >= case.policy.majority:
        lengths = [len(f.record.correction.split()) for f in case.failures if f.record.correction]
        limit = f" in at most {round(float(np.median(lengths)))} words" if lengths else " briefly"
        return ("People find the answers too wordy.", f"Answer{limit}.", case.ids(wordy))
    return None


def _refusal_instruction(case: Case) -> Found:
    if case.kind is not PatternKind.REFUSAL:
        return None
    return (
        "The bot refuses although documents or reviewers answer it.",
        "When a source covers the question, answer from it; refuse only what no source covers.",
        case.ids(lambda failure: failure.kind is PatternKind.REFUSAL),
    )


def _phrase_instruction(case: Case) -> Found:
    """Words beside the subject that most corrections of a tone pattern add."""
    if case.kind is not PatternKind.TONE:
        return None
    corrected = [failure for failure in case.failures if failure.change is not None]
    if len(corrected) < case.policy.min_failures:
        return None
    holders: dict[tuple[str, ...], list[str]] = {}
    for failure in corrected:
        before = normalise(failure.record.answer)
        subject = substance(f"{failure.record.answer} {failure.record.question}")
        for phrase in _phrases(failure.record.correction or "", subject):
            if " ".join(phrase) not in before:
                holders.setdefault(phrase, []).append(failure.record.id)
    needed = 0.6 * len(corrected)
    common = [phrase for phrase, ids in holders.items() if len(ids) >= needed]
    if not common:
        return None
    phrase = max(common, key=lambda item: (len(item), len(holders[item]), item))
    text = " ".join(phrase)
    return (
        f"{len(holders[phrase])} of {len(corrected)} corrections add the words {text!r}.",
        f"Use the words {text!r} where they fit.",
        tuple(holders[phrase]),
    )


def _phrases(text: str, subject: frozenset[str]) -> set[tuple[str, ...]]:
    """Returns every run of three to six words of a sentence that says nothing of the subject."""
    found = set()
    for sentence in sentences(text):
        tokens = normalise(sentence).split()
        about = [stem(token) in subject for token in tokens]
        for length in range(3, 7):
            for start in range(len(tokens) - length + 1):
                if not any(about[start : start + length]):
                    found.add(tuple(tokens[start : start + length]))
    return found


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


def _outline(case: Case) -> str:
    """Drafts a document: a title and the questions it must answer, twins left out."""
    asked: list[str] = []
    seen: list[set[str]] = []
    for failure in case.failures:
        bag = set(words(failure.record.question))
        if all(len(bag & other) < 0.6 * len(bag | other) for other in seen):
            asked.append(failure.record.question.strip())
            seen.append(bag)
        if len(asked) == 8:
            break
    title = " ".join(case.keywords[:4]) or "Untitled"
    return "\n".join([f"# {title}", "", *(f"- {question}" for question in asked)])


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
