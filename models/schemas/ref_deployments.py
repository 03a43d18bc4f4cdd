import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import ENTRY_PATH, KNOWN_FROM, KNOWN_TO

TABLE = Table(
    schema="ref",
    name="deployments",
    grain="One row per alias of deployments.yml and its validity: what a name of the project's own means",
    columns=(
        Column(
            name="alias",
            dtype=pl.String,
            comment="Name in a log: an ARN, a deployment, a gateway's model name or a route",
            required=True,
        ),
        Column(name="provider", dtype=pl.String, comment="Provider id; NULL = as the record says"),
        Column(name="model", dtype=pl.String, comment="Model as a sheet names it; NULL = as the record says"),
        Column(name="region", dtype=pl.String, comment="Region; NULL = as the record says"),
        Column(name="service_tier", dtype=pl.String, comment="Served tier; NULL = as the record says"),
        Column(
            name="pool",
            dtype=pl.String,
            comment="Capacity paid by the hour that serves it, so that its tokens cost 0; NULL = none",
        ),
        Column(name="valid_from", dtype=INSTANT, comment="The alias means this from here on", required=True),
        Column(name="valid_to", dtype=INSTANT, comment="The alias means this before here; NULL = open"),
        KNOWN_FROM,
        KNOWN_TO,
        ENTRY_PATH,
        Column(name="sheet_line", dtype=pl.Int64, comment="Line of the entry in the file"),
    ),
    key=("alias", "valid_from", "known_from"),
)
