"""The workspace's members: the strongest source of names there is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from feedback.domain.person import Person
from feedback.redaction.lists import fold


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One person of the workspace.

    Attributes:
        id: Slack user id; every form of the person's name hangs on it.
        names: Full name, display name and further forms, as written.
    """

    id: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownName:
    """One way to write a member: folded words, and whose name it is.

    Attributes:
        given: Whether this is a given name alone, which people also write in lower case.
    """

    words: tuple[str, ...]
    member: str
    given: bool = False


class NameDirectory:
    """Looks up the names of a workspace's members by their first word.

    A name that several members share (two Annas) is still found; its placeholder hangs on the name
    instead of on one of them.
    """

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self._known: dict[str, dict[tuple[str, ...], KnownName]] = {}
        self.members = tuple(members)
        for member in self.members:
            for name in member.names:
                self._add(member.id, name)

    @classmethod
    def from_names(cls, names: Iterable[str]) -> "NameDirectory":
        """Returns a directory of people of whom only the full name is known."""
        return cls(Member(id=fold(name), names=(name,)) for name in names)

    @classmethod
    def of(cls, people: Iterable[Person]) -> "NameDirectory":
        """Returns the directory of a workspace's people as the store knows them."""
        return cls(
            Member(id=person.user_id, names=person.names) for person in people if not person.is_bot
        )

    @classmethod
    def from_slack(cls, users: Iterable[Mapping[str, Any]]) -> "NameDirectory":
        """Returns the directory of `users.list` members or of an export's `users.json`.

        Bots are left out: their names are product names.
        """
        members = []
        for user in users:
            if user.get("is_bot") or user.get("id") == "USLACKBOT":
                continue
            profile = user.get("profile") or {}
            fields = (
                user.get("real_name"),
                user.get("name"),
                *(profile.get(key) for key in ("real_name", "display_name", "first_name")),
                *(profile.get(key) for key in ("real_name_normalized", "display_name_normalized")),
                *(profile.get(key) for key in ("last_name",)),
            )
            names = tuple(dict.fromkeys(str(value) for value in fields if value))
            members.append(Member(id=str(user.get("id", "")), names=names))
        return cls(members)

    def joined(self, other: "NameDirectory") -> "NameDirectory":
        """Returns a directory of the members of both."""
        return NameDirectory((*self.members, *other.members))

    def starting_with(self, word: str) -> tuple[KnownName, ...]:
        """Returns the names whose first folded word is `word`, the longest first."""
        names = self._known.get(word)
        if not names:
            return ()
        return tuple(sorted(names.values(), key=lambda known: -len(known.words)))

    def __len__(self) -> int:
        return sum(len(names) for names in self._known.values())

    def _add(self, member: str, name: str) -> None:
        words = tuple(split_name(name))
        if not words:
            return
        self._put(KnownName(words=words, member=member, given=len(words) == 1))
        if len(words) > 1:
            self._put(KnownName(words=(words[-1], *words[:-1]), member=member))
            self._put(KnownName(words=(words[0], words[-1]), member=member))
            self._put(KnownName(words=(words[0],), member=member, given=True))
            self._put(KnownName(words=(words[-1],), member=member))

    def _put(self, known: KnownName) -> None:
        if sum(len(word) for word in known.words) < 2:
            return
        names = self._known.setdefault(known.words[0], {})
        other = names.get(known.words)
        if other is None:
            names[known.words] = known
        elif other.member != known.member:
            names[known.words] = KnownName(
                words=known.words, member="", given=other.given or known.given
            )


def split_name(name: str) -> list[str]:
    """Returns the folded words of a name; dots, underscores and digits separate."""
    cleaned = "".join(ch if ch.isalpha() or ch in "-'\u2019" else " " for ch in name)
    words = (fold(word.strip("-'\u2019")) for word in cleaned.split())
    return [word for word in words if word]
