from feedback.domain.interaction import InteractionRecord, Rating
from feedback.mining.remembered import Part, RememberingEmbedder, texts_of
from feedback.testing import HashingEmbedder


def record(name: str, **values: object) -> InteractionRecord:
    given = {"question": f"ask {name}", "answer": f"say {name}"} | values
    return InteractionRecord(id=name, thread_id=name, user_id=name, ts=0.0, **given)  # type: ignore[arg-type]


def test_questions_are_needed_and_corrections_of_failures_and_answers_if_asked_for() -> None:
    rows = [
        record("a", correction=" Better. "),
        record("b", correction="say b", rating=Rating.UP),
        record("c", answer=""),
    ]
    needed = {key: said for key, said in texts_of(rows).items() if key[1] is not Part.QUESTION}
    assert needed == {("a", Part.CORRECTION): "Better."}
    assert texts_of(rows)["c", Part.QUESTION] == "ask c"
    answers = {key for key in texts_of(rows, answers=True) if key[1] is Part.ANSWER}
    assert answers == {("a", Part.ANSWER), ("b", Part.ANSWER)}


async def test_a_text_is_embedded_once() -> None:
    inner = HashingEmbedder()
    (known,) = await inner.embed(["one"])
    embedder = RememberingEmbedder(inner, {"one": known})
    assert embedder.id == inner.id
    vectors = await embedder.embed(["two", "one", "two", "three"])
    assert inner.embedded == 3
    assert (vectors == await inner.embed(["two", "one", "two", "three"])).all()
    before = inner.embedded
    await embedder.embed(["three", "two"])
    assert inner.embedded == before
    assert (await embedder.embed([])).shape == (0, 384)
