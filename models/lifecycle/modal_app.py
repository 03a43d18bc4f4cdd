"""Modal's apps as its command tells them (`modal app list --json`), poll by poll, with `polled_at` beside each.

`tasks` containers of an app run, and which is not told; an app that is stopped has none. The accelerator is not told:
state it in the source (`columns = {chip = {value = "H100"}}`), one source for apps of one kind of machine. Modal bills
by the second while a container runs. Source: modal 1.6.4, `modal/cli/app.py`.
"""

from models.lifecycle.objects import count_importer

IMPORTER = count_importer(
    "modal_app",
    columns=dict.fromkeys(("app_id", "description", "state", "tasks", "polled_at"), "VARCHAR"),
    facts={"deployment": "coalesce(nullif(description, ''), app_id)", "provider": "'modal'"},
    observed_at="polled_at",
    ready="CASE WHEN state ILIKE 'stopped%' THEN '0' ELSE tasks END",
    signature=(frozenset({"app_id", "tasks", "stopped_at"}),),
)
