"""Columns that several tables have, each described once."""

import polars as pl

from models.schemas.base import INSTANT, Column

ACCRUED_HOUR = Column(name="accrued_hour", dtype=INSTANT, comment="UTC hour; the partition", required=True)
ACCRUED_ON = Column(name="accrued_on", dtype=pl.Date, comment="Business date")
ACCRUED_ON_IN_ZONE = Column(
    name="accrued_on", dtype=pl.Date, comment="Business date in the reporting zone", required=True
)
ACCRUED_ON_PARTITION = Column(
    name="accrued_on", dtype=pl.Date, comment="Business date; the partition", required=True
)
ADDED_SECONDS = Column(
    name="added_seconds", dtype=pl.Float64, comment="Seconds that they waited", required=True
)
AGENT = Column(name="agent", dtype=pl.String, comment="Agent that called, by tag")
BILLED_GPU_SECONDS = Column(
    name="billed_gpu_seconds",
    dtype=pl.Decimal(38, 6),
    comment="GPU-seconds that the vendor bills",
    required=True,
)
BILLED_ON = Column(
    name="billed_on",
    dtype=pl.Date,
    comment="First day of the billing period (UTC); the partition",
    required=True,
)
BILLING_ACCOUNT_ID = Column(name="billing_account_id", dtype=pl.String, comment="Account that pays")
BILLING_PERIOD_END = Column(
    name="billing_period_end", dtype=INSTANT, comment="Its end, exclusive", required=True
)
BILLING_PERIOD_START = Column(
    name="billing_period_start", dtype=INSTANT, comment="Start of the period, UTC", required=True
)
BILLING_PROVIDER = Column(name="provider", dtype=pl.String, comment="Who bills it")
CHIP = Column(name="chip", dtype=pl.String, comment="Accelerator", required=True)
CHIP_WHERE_KNOWN = Column(name="chip", dtype=pl.String, comment="Accelerator, where known")
COMMITMENT = Column(
    name="commitment", dtype=pl.String, comment="on_demand, spot, reserved, committed", required=True
)
DEPLOYMENT = Column(
    name="deployment", dtype=pl.String, comment="Deployment, all commitments together", required=True
)
DEVELOPER = Column(name="developer", dtype=pl.String, comment="Who made the model; NULL: not known")
ENTRY_LINE = Column(name="sheet_line", dtype=pl.Int64, comment="Line of the entry in the file", required=True)
ENTRY_PATH = Column(name="sheet_path", dtype=pl.String, comment="File", required=True)
ENVIRONMENT = Column(name="environment", dtype=pl.String, comment="Environment, by tag")
FEATURE = Column(name="feature", dtype=pl.String, comment="Feature of the product, by tag")
FILE_HASH = Column(name="file_hash", dtype=pl.String, comment="Landed file", required=True)
FIRST_READ_AT = Column(name="ingested_at", dtype=INSTANT, comment="When it was first read", required=True)
INGESTED_AT = Column(
    name="ingested_at", dtype=INSTANT, comment="When this warehouse first read the row", required=True
)
INPUT_TOKENS = Column(name="input_tokens", dtype=pl.Int64, comment="All input classes", required=True)
INVOICE_ID = Column(name="invoice_id", dtype=pl.String, comment="Invoice; NULL until the issuer names it")
INVOICE_ISSUER_NAME = Column(
    name="invoice_issuer_name", dtype=pl.String, comment="Who sends the bill", required=True
)
IS_FALLBACK = Column(
    name="is_fallback", dtype=pl.Boolean, comment="Whether the router fell back to this attempt"
)
IS_OPEN_WEIGHTS = Column(
    name="is_open_weights",
    dtype=pl.Boolean,
    comment="Whether anybody may download the weights and serve them; NULL: not known",
)
IS_PROVISIONAL = Column(
    name="is_provisional",
    dtype=pl.Boolean,
    comment="Whether later finishers may still move the figure",
    required=True,
)
IS_ROUNDED = Column(
    name="is_rounded", dtype=pl.Boolean, comment="Whether booking moved the rate", required=True
)
IS_SPLIT_PROVISIONAL = Column(
    name="is_provisional",
    dtype=pl.Boolean,
    comment="Whether later finishers may still move the split",
    required=True,
)
KNOWN_FROM = Column(name="known_from", dtype=INSTANT, comment="Known from this instant", required=True)
KNOWN_FROM_OR_ALWAYS = Column(
    name="known_from", dtype=INSTANT, comment="Known from this instant; NULL: always"
)
KNOWN_TO = Column(name="known_to", dtype=INSTANT, comment="Corrected at this instant; NULL = open")
LAST_AT = Column(name="last_at", dtype=INSTANT, comment="Latest instant in the file")
LOGICAL_REQUEST_ID = Column(
    name="logical_request_id",
    dtype=pl.String,
    comment="What the caller asked once; NULL when equal to request_id",
)
MAY_SERVE_WEIGHTS = Column(
    name="is_open_weights", dtype=pl.Boolean, comment="Whether anybody may serve the weights; NULL: not known"
)
MODEL = Column(name="model", dtype=pl.String, comment="Model")
MODEL_FAMILY = Column(name="model_family", dtype=pl.String, comment="Weights shared across providers")
MODEL_OF_DEPLOYMENT = Column(
    name="model", dtype=pl.String, comment="Model that the deployment serves; NULL when it serves several"
)
MODEL_OF_REPLICA = Column(name="model", dtype=pl.String, comment="Model that the replica serves")
MONTH_ON = Column(
    name="month_on", dtype=pl.Date, comment="First business day of the month; the partition", required=True
)
NODE = Column(name="node", dtype=pl.String, comment="Machine")
OPERATION = Column(name="operation", dtype=pl.String, comment="Kind of call: chat, embedding, ...")
OPTIONAL_CHIP = Column(name="chip", dtype=pl.String, comment="Accelerator")
OUTPUT_TOKENS = Column(name="output_tokens", dtype=pl.Int64, comment="All output classes", required=True)
PAYING_TENANT = Column(name="tenant", dtype=pl.String, comment="Paying tenant")
PREFIX_HASH = Column(
    name="prefix_hash", dtype=pl.String, comment="Hash of the cacheable prefix, where a source has one"
)
PROVIDER = Column(name="provider", dtype=pl.String, comment="Who ran it")
PROVIDER_ID = Column(name="provider", dtype=pl.String, comment="Provider id", required=True)
PROVIDER_OF_CHIPS = Column(
    name="provider", dtype=pl.String, comment="Who bills the accelerators", required=True
)
RATE_KNOWN_FROM = Column(
    name="known_from", dtype=INSTANT, comment="Rate was known from this instant", required=True
)
RATE_VALID_FROM = Column(
    name="valid_from", dtype=INSTANT, comment="Rate applies from this instant", required=True
)
RATE_VALID_TO = Column(
    name="valid_to", dtype=INSTANT, comment="Rate applies before this instant; NULL = open"
)
REGION = Column(name="region", dtype=pl.String, comment="Where")
REGION_OF_CALL = Column(name="region", dtype=pl.String, comment="Where it ran")
REGION_OF_CHIPS = Column(name="region", dtype=pl.String, comment="Where they run", required=True)
REGION_OF_PRICE = Column(
    name="region", dtype=pl.String, comment="Region; NULL = any region without a price of its own"
)
REPLICA_ID = Column(name="replica_id", dtype=pl.String, comment="Replica", required=True)
REQUESTED_AT = Column(
    name="requested_at", dtype=INSTANT, comment="When the replica was asked for, UTC", required=True
)
REQUEST_ID = Column(name="request_id", dtype=pl.String, comment="Attempt", required=True)
REQUIRED_REGION = Column(name="region", dtype=pl.String, comment="Where", required=True)
ROUTE = Column(name="route", dtype=pl.String, comment="Route")
ROUTED_MODEL = Column(name="routed_model", dtype=pl.String, comment="Model as sent upstream")
ROUTE_CHOSEN = Column(name="route", dtype=pl.String, comment="Deployment or alias that the router chose")
RUN_ID = Column(name="run_id", dtype=pl.String, comment="Dagster run", required=True)
SCOPE = Column(name="scope", dtype=pl.String, comment="Provider, tenant or team; total", required=True)
SERVED_MODEL_NAME = Column(name="model", dtype=pl.String, comment="Served model after the alias table")
SERVICE_TIER = Column(name="service_tier", dtype=pl.String, comment="Served tier")
SESSION_ID = Column(name="session_id", dtype=pl.String, comment="Conversation")
SHEET_LINE = Column(name="sheet_line", dtype=pl.Int64, comment="Line of the entry in the sheet")
SHEET_PATH = Column(name="sheet_path", dtype=pl.String, comment="Sheet file", required=True)
SHEET_VERSION = Column(
    name="sheet_version", dtype=pl.String, comment="Content hash of the sheet", required=True
)
SOURCE = Column(name="source", dtype=pl.String, comment="Configured source", required=True)
SOURCE_KIND = Column(name="source_kind", dtype=pl.String, comment="Importer that read the row", required=True)
SOURCE_OF_ATTEMPT = Column(
    name="source", dtype=pl.String, comment="Configured source of the attempt", required=True
)
SOURCE_OF_ROW = Column(
    name="source", dtype=pl.String, comment="Configured source that the row came from", required=True
)
SOURCE_URL = Column(
    name="source_url", dtype=pl.String, comment="Where the price was published", required=True
)
STARTED_AT = Column(name="started_at", dtype=INSTANT, comment="When the attempt started, UTC", required=True)
TASK_CLASS = Column(name="task_class", dtype=pl.String, comment="Class of work")
TEAM = Column(name="team", dtype=pl.String, comment="Team")
TENANT = Column(name="tenant", dtype=pl.String, comment="Tenant")
THRESHOLDS_PERCENT = Column(
    name="thresholds_percent", dtype=pl.List(pl.Int64), comment="Shares of it that are told of", required=True
)
UNPRICED_TOKENS = Column(
    name="unpriced_tokens", dtype=pl.Int64, comment="Tokens without a price: in no dollars", required=True
)
VALID_FROM = Column(name="valid_from", dtype=INSTANT, comment="Holds from this instant", required=True)
VALID_FROM_DAY = Column(name="valid_from", dtype=INSTANT, comment="First day that it holds for; NULL: always")
VALID_TO = Column(name="valid_to", dtype=INSTANT, comment="Holds before this instant; NULL = open")
VALID_TO_DAY = Column(name="valid_to", dtype=INSTANT, comment="Day after the last; NULL: for good")
VENDOR = Column(name="provider", dtype=pl.String, comment="Vendor of the sheet", required=True)
