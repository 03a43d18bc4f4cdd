"""The code location that workspace.yaml names: the project that a person works in."""

import dagster as dg

from pipelines.assets.catalog import with_catalog
from pipelines.automation.code_location import build_defs
from pipelines.project import find_project


@dg.definitions
def defs() -> dg.Definitions:
    project = find_project(None)
    return with_catalog(build_defs(project=project), project.reports)
