"""A loopback upstream that speaks OpenAI and Anthropic with usage that the test knows, and keeps what is recorded."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGES: dict[str, dict[str, Any]] = {
    "gpt-4o-mini-2024-07-18": {
        "prompt_tokens": 1000,
        "completion_tokens": 300,
        "total_tokens": 1300,
        "prompt_tokens_details": {"cached_tokens": 640, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
    "o4-mini": {
        "prompt_tokens": 200,
        "completion_tokens": 500,
        "total_tokens": 700,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 320},
    },
    "claude-3-7-sonnet-20250219": {
        "input_tokens": 120,
        "cache_creation_input_tokens": 500,
        "cache_read_input_tokens": 4000,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 300,
        "service_tier": "standard",
    },
    "no-such-model-in-any-map": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    "text-embedding-3-small": {"prompt_tokens": 9, "total_tokens": 9},
}
ANSWER = "the planted completion"


class _Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    counter = iter(range(1, 10**9))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/recorded":
            self.server.recorded.put(asked)  # type: ignore[attr-defined]
            self._answer(200, "{}")
            return
        model, number = asked["model"], next(self.counter)
        if model not in USAGES:
            status = 500 if model == "always-fails" else 429
            self._answer(status, json.dumps({"error": {"message": "planted failure", "code": str(status)}}))
        elif self.path.endswith("/messages"):
            self._anthropic(model, number, is_stream=bool(asked.get("stream")))
        elif self.path.endswith("/embeddings"):
            self._answer(200, json.dumps({"object": "list", "model": model, "usage": USAGES[model],
                "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]}))  # fmt: skip
        else:
            self._openai(model, number, is_stream=bool(asked.get("stream")))

    def _openai(self, model: str, number: int, *, is_stream: bool) -> None:
        head = {
            "id": f"chatcmpl-up{number}",
            "created": 1772359200,
            "model": model,
            "service_tier": "default",
        }
        if not is_stream:
            choice = {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": ANSWER},
            }
            self._answer(200, json.dumps(
                {**head, "object": "chat.completion", "choices": [choice], "usage": USAGES[model]}))  # fmt: skip
            return
        chunk = {**head, "object": "chat.completion.chunk"}
        parts = [
            {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ANSWER}}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**chunk, "choices": [], "usage": USAGES[model]},
        ]
        text = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
        self._answer(200, text, "text/event-stream")

    def _anthropic(self, model: str, number: int, *, is_stream: bool) -> None:
        usage = USAGES[model]
        message = {"id": f"msg_up{number}", "type": "message", "role": "assistant", "model": model,
                   "content": [{"type": "text", "text": ANSWER}], "stop_reason": "end_turn", "stop_sequence": None,
                   "usage": usage}  # fmt: skip
        if not is_stream:
            self._answer(200, json.dumps(message))
            return
        start = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        parts = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ANSWER}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {"output_tokens": usage["output_tokens"]}},
            {"type": "message_stop"},
        ]  # fmt: skip
        text = "".join(f"event: {part['type']}\ndata: {json.dumps(part)}\n\n" for part in parts)
        self._answer(200, text, "text/event-stream")

    def _answer(self, status: int, text: str, content_type: str = "application/json") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def upstream() -> Iterator[tuple[str, "queue.Queue[dict[str, Any]]"]]:
    """Serve the upstream; yield its address and the queue of what was recorded."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    server.recorded = recorded = queue.Queue()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", recorded
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
