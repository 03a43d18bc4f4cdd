"""The code location that workspace.yaml names: the project that a person works in."""

import dagster as dg

from pipelines.automation.code_location import build_defs
from pipelines.project import find_project


@dg.definitions
def defs() -> dg.Definitions:
    return build_defs(project=find_project(None))
