"""A simulated inference engine with a known price of prefill and decode, and what Prometheus would read of it."""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

PREFILL_SECONDS = 1 / 1_000
DECODE_SECONDS = 1 / 200
TRUE_WEIGHT = PREFILL_SECONDS / DECODE_SECONDS
_CHUNK = 128
_MOST_RUNNING = 48
_APPS = ((150, 3), (20, 25))
"""Mean prompt and output tokens of what is called: summaries and chats, whose shares come and go."""


@dataclass
class _Request:
    prompt: int
    cached: int
    unread: int
    left: int


@dataclass
class Scrape:
    """One reading of the engine's metrics."""

    at: datetime
    prompt: int
    cached: int
    generated: int
    running: int

    def lines(self, *, model: str, replica: str) -> Iterator[str]:
        labels = f'{{model_name="{model}",engine="0",pod="{replica}"}}'
        stamp = round(self.at.timestamp() * 1000)
        for name, value in (
            ("prompt_tokens_total", self.prompt),
            ("prompt_tokens_cached_total", self.cached),
            ("generation_tokens_total", self.generated),
            ("num_requests_running", self.running),
        ):
            yield f"vllm:{name}{labels} {value}.0 {stamp}"


def simulate(seed: int, *, start: datetime, hours: float, load: float = 0.9) -> list[Scrape]:
    """Run an engine that batches continuously and prefills in chunks; a step takes what its tokens take.

    Each step decodes a token of every running request and prefills a chunk of the next; its time is the sum of both at
    their known prices, times a speed that wanders by some percent.
    """
    rng = random.Random(seed)
    clock, end, next_scrape, next_arrival = 0.0, hours * 3600, 0.0, 0.0
    queue: deque[_Request] = deque()
    decoding: list[_Request] = []
    scrape = Scrape(start, 0, 0, 0, 0)
    scrapes: list[Scrape] = []
    speed, summaries = 1.0, 0.5
    while clock < end:
        while next_arrival <= clock:
            into, out = _APPS[rng.random() > summaries]
            prompt = max(1, round(rng.expovariate(1 / into)))
            cached = round(prompt * rng.choice((0, 0, 0.5)))
            queue.append(_Request(prompt, cached, prompt - cached, max(1, round(rng.expovariate(1 / out)))))
            # Either kind takes 0.14 s of engine time on average.
            next_arrival += rng.expovariate(load / 0.14)
        chunk = 0
        if queue and len(decoding) < _MOST_RUNNING:
            chunk = min(_CHUNK, queue[0].unread)
        took = (chunk * PREFILL_SECONDS + len(decoding) * DECODE_SECONDS) * speed
        scrape.generated += len(decoding)
        for request in decoding:
            request.left -= 1
        decoding = [request for request in decoding if request.left > 0]
        if queue and len(decoding) < _MOST_RUNNING and chunk:
            queue[0].unread -= chunk
            if queue[0].unread == 0:
                done = queue.popleft()
                scrape.prompt += done.prompt
                scrape.cached += done.cached
                scrape.generated += 1
                done.left -= 1
                if done.left > 0:
                    decoding.append(done)
        clock += took or 0.01
        speed = 1 + 0.98 * (speed - 1) + rng.gauss(0, 0.01)
        summaries = min(0.95, max(0.05, summaries + rng.gauss(0, 0.004)))
        while next_scrape <= clock:
            now = start + timedelta(seconds=next_scrape)
            scrapes.append(
                Scrape(now, scrape.prompt, scrape.cached, scrape.generated, len(decoding) + bool(queue))
            )
            next_scrape += 15
    return scrapes
