"""Secrets in settings: their name stands there, their value in the environment."""

import os

from models.documents import Strict
from models.errors import ConfigurationError


class SecretSetting(Strict):
    """A value that is read from the environment."""

    env: str

    def value(self) -> str:
        found = os.environ.get(self.env)
        if not found:
            raise ConfigurationError(
                f"The environment variable {self.env} is not set; nanodollar.toml asks for it."
            )
        return found
