"""A webhook that takes Slack's messages: one JSON object with `text`, by POST."""

from models.errors import DataError
from pipelines.secret import SecretSetting

_TIMEOUT_SECONDS = 10.0


def post(webhook: SecretSetting, text: str) -> None:
    """Send one message.

    Args:
        webhook: the variable that holds the URL; the URL is a secret and is named nowhere.
        text: the message.

    Raises:
        ConfigurationError: the variable is not set.
        DataError: nobody answers, or not with success; the message may be sent again.
    """
    import httpx

    url = webhook.value()
    try:
        answer = httpx.post(url, json={"text": text}, timeout=_TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DataError(
            f"The webhook of {webhook.env} does not answer ({type(error).__name__}); check its URL."
        ) from error
    if not answer.is_success:
        raise DataError(f"The webhook of {webhook.env} answered {answer.status_code}; check its URL.")
