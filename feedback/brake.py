"""The brake outside the database: an environment variable and a flag file.

Whoever must stop an experiment while the database is down sets one of them. Every answer looks at
it, so it works from the next question on; the scheduler copies it into the record, with an audit
entry, as soon as it can. It is released by a person who removes it, and the brake in the record is
released for itself.
"""

from dataclasses import dataclass
from pathlib import Path

from feedback.settings import Settings

FLAG = "FREEZE"
"""Name of the flag file in the state folder."""


@dataclass(frozen=True, kw_only=True)
class Brake:
    """What is looked at.

    Attributes:
        file: Exists while the brake is pulled; its first line may say why.
        held: The environment pulls it for the life of the process.
    """

    file: Path | None = None
    held: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Brake":
        """Reads the settings."""
        experiment = settings.experiment
        file = experiment.freeze_file or settings.state_dir / FLAG
        return cls(file=file, held=experiment.freeze)

    def pulled(self) -> bool:
        """Whether anything outside the database says to stop."""
        return self.held or (self.file is not None and self.file.exists())

    def reason(self) -> str:
        """Returns who pulled it, in words for the audit trail."""
        if self.held:
            return "UNDERSTUDY_EXPERIMENT__FREEZE is set"
        try:
            said = self.file.read_text(encoding="utf-8").strip() if self.file else ""
        except (OSError, UnicodeDecodeError):
            said = ""
        return f"flag file {self.file}" + (f": {said.splitlines()[0][:200]}" if said else "")

    def pull(self, reason: str) -> None:
        """Writes the flag file."""
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(f"{reason}\n", encoding="utf-8")

    def release(self) -> None:
        """Removes the flag file; the environment's is released by whoever set it."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)
