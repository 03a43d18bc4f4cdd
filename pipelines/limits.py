"""What a project puts up with: the limits of checks, for all and for single deployments or providers."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from models.documents import Strict


class BurstLimits(Strict):
    """Dollars of a deployment's bursts; one that is not set is that of all deployments."""

    warn_above_usd: Annotated[Decimal, Field(ge=0)] | None = None
    fail_above_usd: Annotated[Decimal, Field(ge=0)] | None = None


class ColdStartSettings(Strict):
    warn_above_usd: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    fail_above_usd: Annotated[Decimal, Field(ge=0)] = Decimal(50)
    deployments: dict[str, BurstLimits] = Field(default_factory=dict)

    def limits_of(self, deployment: str) -> tuple[Decimal, Decimal]:
        """Return the dollars of a deployment's bursts above which the check warns and fails."""
        own = self.deployments.get(deployment, BurstLimits())
        return (
            self.warn_above_usd if own.warn_above_usd is None else own.warn_above_usd,
            self.fail_above_usd if own.fail_above_usd is None else own.fail_above_usd,
        )


class GapLimits(Strict):
    """Shares of a provider's day that may be in no log; one that is not set is that of all providers."""

    warn_above_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    fail_above_ratio: Annotated[float, Field(ge=0, le=1)] | None = None


class CompletenessSettings(Strict):
    warn_above_ratio: Annotated[float, Field(ge=0, le=1)] = 0.001
    fail_above_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    providers: dict[str, GapLimits] = Field(default_factory=dict)

    def limits_of(self, provider: str) -> tuple[float, float]:
        """Return the shares of a provider's calls or tokens in no log above which the check warns and fails."""
        own = self.providers.get(provider, GapLimits())
        return (
            self.warn_above_ratio if own.warn_above_ratio is None else own.warn_above_ratio,
            self.fail_above_ratio if own.fail_above_ratio is None else own.fail_above_ratio,
        )
