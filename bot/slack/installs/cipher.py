"""Encrypts tokens before they are stored."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from feedback.errors import ConfigurationError

_MARK = "fernet:"


class TokenCipher:
    """Fernet with several keys: the first encrypts, all decrypt.

    Raises:
        ConfigurationError: When there is no key, or one is not a Fernet key.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        problems = self.problems(keys)
        if problems or not keys:
            raise ConfigurationError(
                *(problems or ["UNDERSTUDY_SLACK__ENCRYPTION_KEYS is empty; set one key at least"])
            )
        self._fernet = MultiFernet([Fernet(key.get_secret_value()) for key in keys])

    @staticmethod
    def problems(keys: Sequence[SecretStr]) -> list[str]:
        """Returns what is wrong with keys, without showing them."""
        found = []
        for number, key in enumerate(keys, start=1):
            try:
                Fernet(key.get_secret_value())
            except ValueError:
                found.append(
                    f"key {number} of UNDERSTUDY_SLACK__ENCRYPTION_KEYS is not a Fernet key; "
                    "`understudy slack new-key` makes one"
                )
        return found

    def seal(self, token: str) -> str:
        """Encrypts; what is sealed already stays as it is."""
        if token.startswith(_MARK):
            return token
        return _MARK + self._fernet.encrypt(token.encode()).decode()

    def open(self, sealed: str) -> str:
        """Decrypts.

        Raises:
            ConfigurationError: When no key fits.
        """
        if not sealed.startswith(_MARK):
            return sealed
        try:
            return self._fernet.decrypt(sealed.removeprefix(_MARK)).decode()
        except InvalidToken as exc:
            raise ConfigurationError(
                "a stored token fits none of UNDERSTUDY_SLACK__ENCRYPTION_KEYS; add the key that "
                "it was encrypted with to the end of the list"
            ) from exc

    def reseal(self, sealed: str) -> str:
        """Encrypts anew with the first key.

        Raises:
            ConfigurationError: When no key fits.
        """
        return self.seal(self.open(sealed))


def new_key() -> str:
    """Returns a fresh key."""
    return Fernet.generate_key().decode()
