"""What the app says between messages goes by itself: words soon, a forgotten session late."""

from bot.sandbox.core import Presence


def test_a_status_goes_and_a_session_stays_until_it_is_given_up() -> None:
    now = [0.0]
    presence = Presence(life_s=120.0, clock=lambda: now[0])
    presence.sessions["C1", "1.0"] = {"title": "Exports", "status": "processing"}
    presence.set_status("C1", "1.0", {"status": "is working…", "session": "processing"})
    presence.set_status("C1", "1.0", {"status": "is reading…"})
    [row] = presence.current()
    assert (row["status"], row["session"], row["title"]) == ("is reading…", "processing", "Exports")
    now[0] = 120.0
    [row] = presence.current()
    assert (row["status"], row["session"]) == ("", "processing")
    now[0] = 3600.0
    assert presence.current() == []


def test_an_empty_text_clears_the_words() -> None:
    presence = Presence(life_s=120.0)
    presence.set_status("C1", "1.0", {"status": "is reading…"})
    assert presence.set_status("C1", "1.0", {"status": ""})["status"] == ""
    assert presence.current() == []
