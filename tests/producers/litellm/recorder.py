"""A LiteLLM callback that tells the upstream what the proxy would log: the SpendLogs row and the standard payload."""

import asyncio
import json
import os
import urllib.request

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.spend_tracking.spend_tracking_utils import get_logging_payload


def tell(body):
    urllib.request.urlopen(os.environ["UPSTREAM_URL"] + "/recorded", body, timeout=10).close()


class Recorder(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        row = get_logging_payload(kwargs, response_obj, start_time, end_time)
        record = {"spend_logs": row, "payload": kwargs["standard_logging_object"]}
        body = json.dumps(record, default=str).encode()
        await asyncio.to_thread(tell, body)


recorder = Recorder()
