"""A model server that is asked whether it keeps the contract."""

from dataclasses import dataclass

from feedback.serving.tgi import TgiTextGenerator


@dataclass(frozen=True, kw_only=True)
class Live:
    """Where a server is and what it serves.

    Attributes:
        adapters: Names that it was started with; two are needed to tell them apart.
    """

    url: str
    adapters: tuple[str, ...]
    key: str = "-"

    def connect(self) -> TgiTextGenerator:
        """Returns a client; close it."""
        return TgiTextGenerator(self.url, adapters=self.adapters, token=self.key)
