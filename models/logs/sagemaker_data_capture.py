"""SageMaker's data capture: what an endpoint was asked and answered, of the sample that is taken.

The answer lies in `captureData.endpointOutput.data`, as JSON, text of server-sent events, or base64. Its usage is read
in OpenAI's shape (vLLM, LMI and DJL containers) and in TGI's `details`. `inferenceTime` is the end, to the second; the
start is the answer's own `created`, else the end. Neither endpoint nor variant stand in a record, only in its path:
state `route` for the source. Endpoints are paid by the hour: their tokens have no price of their own.
Source: docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html;
huggingface.co/docs/text-generation-inference (details).
"""

from dataclasses import replace

from models.logs.openai_shape import CHAT, COUNTS, openai_shaped
from models.logs.responses import response_importer
from models.records import tried

_OUT, _IN = "$.endpointOutput", "$.endpointInput"


def _of(column: str, path: str) -> str:
    return f"TRY(json_extract_string({column}, '{path}'))"


_DATA = _of("captureData", f"{_OUT}.data")
_PLAIN = (
    f"CASE {_of('captureData', f'{_OUT}.encoding')} WHEN 'BASE64' "
    f"THEN {tried(_DATA, 'decode(from_base64({}))')} ELSE {_DATA} END"
)
# TGI answers with a list of one.
_ANSWER = """CASE WHEN TRY(json_type(plain)) = 'ARRAY' AND json_exists(plain, '$[0].generated_text')
  THEN json_extract(plain, '$[0]')::VARCHAR ELSE plain END"""
_ASKED = tried(_of("captureData", f"{_IN}.data"), "json_extract_string({}, '$.model')")
_ENDED = _of("eventMetadata", "$.inferenceTime")
_CREATED = r'"created"\s*:\s*[0-9]'
_RECORDS = f"""(
  SELECT * EXCLUDE (plain, answer) REPLACE (
    answer AS response, coalesce(requested_model, {_ASKED}) AS requested_model,
    coalesce(request_id, {_of("eventMetadata", "$.eventId")}) AS request_id,
    coalesce(logical_request_id, {_of("eventMetadata", "$.inferenceId")}) AS logical_request_id,
    coalesce(finished_at, {_ENDED}) AS finished_at,
    coalesce(started_at, CASE WHEN NOT coalesce(regexp_matches(answer, '{_CREATED}'), false) THEN {_ENDED} END)
      AS started_at)
  FROM (SELECT *, {_ANSWER} AS answer FROM (SELECT *, {_PLAIN} AS plain FROM records))
)"""
_READ = response_importer(
    openai_shaped(
        "sagemaker_data_capture",
        "aws.sagemaker",
        counts={
            "prompt": (*COUNTS["prompt"], "$.usage.input_tokens", "$.details.prefill_tokens"),
            "completion": (*COUNTS["completion"], "$.usage.output_tokens", "$.details.generated_tokens"),
        },
        signature=(CHAT,),
        rank=12,
    )
)
IMPORTER = replace(
    _READ,
    columns={**_READ.columns, "captureData": "VARCHAR", "eventMetadata": "VARCHAR"},
    select=_READ.select.replace("FROM records", f"FROM {_RECORDS}"),
    signature=(
        frozenset({"captureData.endpointOutput", "eventMetadata"}),
        frozenset({"captureData.endpointInput", "eventMetadata"}),
    ),
)
