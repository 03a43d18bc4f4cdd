"""The price sheets that ship with nanodollar."""

from importlib.resources import files


def builtin_token_sheets() -> dict[str, str]:
    """Return the built-in token sheets: path under `data` -> YAML text, in name order."""
    return _sheets("tokens")


def builtin_gpu_sheets() -> dict[str, str]:
    """Return the built-in GPU sheets: path under `data` -> YAML text, in name order."""
    return _sheets("gpu")


def _sheets(kind: str) -> dict[str, str]:
    folder = files("data") / "prices" / kind
    found = sorted(
        (item for item in folder.iterdir() if item.name.endswith(".yml")), key=lambda item: item.name
    )
    return {f"data/prices/{kind}/{item.name}": item.read_text(encoding="utf-8") for item in found}
