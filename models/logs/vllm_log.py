"""vLLM's text log: known when it is seen, and not read, because it has no token counts, no year and no zone.

Source: vLLM `logging_utils` (`LEVEL MM-DD HH:MM:SS [file:line] message`) and uvicorn's access log, checked 2026-11-20,
https://github.com/vllm-project/vllm.
"""

import re

_LINE = re.compile(
    r"^(?:\([^)]*\) )*(?:"
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d |"
    r'INFO: +(?:Application startup complete|[\d.:a-fA-F\[\]]+ - "(?:GET|POST) /))'
)
_COLOR = re.compile(r"\x1b\[[\d;]*m")
INSTEAD = (
    "vLLM's text log, which tells no tokens, no year and no time zone; deliver the calls as OpenTelemetry spans "
    "(otel_genai), as a gateway's log (litellm_spend_logs) or from SGLang as its request metrics "
    "(sglang_request_metrics), counts as a Prometheus scrape (prometheus), and the starts of replicas as pods (k8s_pod)"
)
"""What such a file is, and which sources say what it does not."""


def is_vllm_log(line: str) -> bool:
    """Return whether a line of text is one of vLLM's log, or of the web server inside it."""
    return _LINE.match(_COLOR.sub("", line)) is not None
