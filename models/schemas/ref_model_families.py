import polars as pl

from models.schemas.base import Column, Table

_SELECT = """
WITH stated AS (
  SELECT lower(model) AS name, min(model_family) AS model_family FROM ref.pool_models
  GROUP BY 1 HAVING count(DISTINCT model_family) = 1
),
borne AS (
  SELECT name, min(model_family) AS model_family
  FROM (
    SELECT unnest([lower(alias), lower(regexp_extract(alias, '[^/]+$')), lower(model_family)]) AS name, model_family
    FROM ref.models WHERE model_family IS NOT NULL AND known_to IS NULL
  )
  GROUP BY name HAVING count(DISTINCT model_family) = 1
)
SELECT name, model_family FROM stated
UNION ALL
SELECT name, model_family FROM borne WHERE name NOT IN (SELECT name FROM stated)
"""

TABLE = Table(
    schema="ref",
    name="model_families",
    grain="One row per name that bears one model family: as a GPU sheet states it, else as an API names it, or the last part of that",
    columns=(
        Column(name="name", dtype=pl.String, comment="Name of a model in small letters", required=True),
        Column(
            name="model_family",
            dtype=pl.String,
            comment="Weights shared across providers; what pools and APIs are compared by",
            required=True,
        ),
    ),
    key=("name",),
    select=_SELECT,
)
