"""What a project puts up with: the limits of checks, for all and for single deployments or providers, and of age."""

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


class Tolerance(Strict):
    """What of an issuer's bill nothing may explain; one that is not set is that of all issuers."""

    unexplained_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    unexplained_usd: Annotated[Decimal, Field(ge=0)] | None = None


class BillSettings(Strict):
    unexplained_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    unexplained_usd: Annotated[Decimal, Field(ge=0)] = Decimal(1)
    issuers: dict[str, Tolerance] = Field(default_factory=dict)

    def tolerance_of(self, issuer: str) -> tuple[float, Decimal]:
        """Return the share of an issuer's bill and the dollars of it that may be unexplained, the larger of them."""
        own = self.issuers.get(issuer, Tolerance())
        return (
            self.unexplained_ratio if own.unexplained_ratio is None else own.unexplained_ratio,
            self.unexplained_usd if own.unexplained_usd is None else own.unexplained_usd,
        )


class OutcomeSettings(Strict):
    """Below which share of covered tasks a cost per task is refused."""

    least_coverage_percent: Annotated[float, Field(ge=0, le=100)] = 90


class ScoreboardSettings(Strict):
    """Which model each route is held against: `provider/model`, `*` for every route that is not named."""

    references: dict[str, Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*/.+$")]] = Field(
        default_factory=dict
    )


class MaintenanceSettings(Strict):
    """How long the lake's snapshots and the logs of Dagster's runs are kept."""

    keep_days: Annotated[int, Field(ge=1)] = 7
    keep_run_logs_days: Annotated[int, Field(ge=1)] = 90
