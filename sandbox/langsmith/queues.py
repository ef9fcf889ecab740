# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for asynq, the queue between platform-backend and ingest-queue: lists and a sorted set in Redis.

A task waits in `pending`, is held in `active` under a lease, and after a failure sits in `retry` until its time.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

from sandbox.langsmith.resp import Redis, Word

INGESTION = "ingestion"
FEEDBACK = "feedback"
ADHOC = "adhoc"
LEASE_SECONDS = 30
# asynq archives after 25 attempts.
ATTEMPTS = 25
LONGEST_PAUSE_SECONDS = 30
# As asynq does it: at once, so that a worker which dies meanwhile leaves no task that nobody takes up again.
# KEYS pending, active, lease; ARGV how many at most, until when they are held.
TAKE = """
local ids = {}
for _ = 1, tonumber(ARGV[1]) do
  local id = redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')
  if not id then break end
  redis.call('ZADD', KEYS[3], ARGV[2], id)
  ids[#ids + 1] = id
end
return ids
"""
# KEYS where it was, active, pending; ARGV the task. One of several workers moves it.
PUT_BACK = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then
  redis.call('LREM', KEYS[2], 0, ARGV[1])
  redis.call('LPUSH', KEYS[3], ARGV[1])
end
"""


@dataclass(frozen=True)
class Task:
    """One thing to do; `attempt` counts the failures before."""

    id: str
    message: dict[str, Any]
    attempt: int


class Queue:
    """One named queue."""

    def __init__(self, redis: Redis, name: str, expiry_seconds: int) -> None:
        self.redis, self.name, self.expiry_seconds = redis, name, expiry_seconds
        self.prefix = f"asynq:{{{name}}}:"

    def key(self, kind: str) -> str:
        """The Redis key of one of the queue's lists."""
        return self.prefix + kind

    def _task(self, task_id: str) -> str:
        return f"{self.prefix}t:{task_id}"

    def put_commands(self, message: dict[str, Any]) -> list[tuple[Word, ...]]:
        """The commands that enqueue `message`, for a transaction."""
        task_id = str(uuid.uuid4())
        return [
            ("HSET", self._task(task_id), "msg", json.dumps(message), "retried", 0),
            ("EXPIRE", self._task(task_id), self.expiry_seconds),
            ("LPUSH", self.key("pending"), task_id),
        ]

    def take(self, most: int, wait_seconds: float) -> list[Task]:
        """Up to `most` tasks, waiting for the first; tasks whose message expired are dropped."""
        pending, active = self.key("pending"), self.key("active")
        # From the end to the end, which only waits until there is something.
        if self.redis("BLMOVE", pending, pending, "RIGHT", "RIGHT", wait_seconds) is None:
            return []
        ends = time.time() + LEASE_SECONDS
        found = self.redis("EVAL", TAKE, 3, pending, active, self.key("lease"), most, ends)
        ids = [task_id.decode() for task_id in found]
        kept = self.redis.pipeline([("HMGET", self._task(task_id), "msg", "retried") for task_id in ids])
        tasks = []
        for task_id, (message, retried) in zip(ids, kept, strict=True):
            if message is None:
                self._forget([task_id])
            else:
                tasks.append(Task(task_id, json.loads(message), int(retried or 0)))
        return tasks

    def _forget(self, ids: list[str]) -> None:
        commands: list[tuple[Word, ...]] = []
        for task_id in ids:
            commands += [
                ("LREM", self.key("active"), 0, task_id),
                ("ZREM", self.key("lease"), task_id),
                ("DEL", self._task(task_id)),
            ]
        if commands:
            self.redis.transaction(commands)

    def done(self, tasks: list[Task]) -> None:
        """Tasks are finished."""
        self._forget([task.id for task in tasks])

    def failed(self, tasks: list[Task]) -> None:
        """Tasks are to be tried again later, with pauses that double, or given up."""
        commands: list[tuple[Word, ...]] = []
        for task in tasks:
            attempt = task.attempt + 1
            due = time.time() + min(2**task.attempt, LONGEST_PAUSE_SECONDS)
            goal = "retry" if attempt < ATTEMPTS else "archived"
            commands += [
                ("LREM", self.key("active"), 0, task.id),
                ("ZREM", self.key("lease"), task.id),
                ("HSET", self._task(task.id), "retried", attempt),
                ("ZADD", self.key(goal), due, task.id),
            ]
        self.redis.transaction(commands)

    def forward(self) -> None:
        """Move what is due from `retry`, and what a dead worker held, back to `pending`."""
        now = time.time()
        for source in ("retry", "lease"):
            for found in self.redis("ZRANGEBYSCORE", self.key(source), "-inf", now, "LIMIT", 0, 100):
                self.redis("EVAL", PUT_BACK, 3, self.key(source), self.key("active"), self.key("pending"), found)

    def depth(self) -> dict[str, int]:
        """How many tasks are in which state."""
        pending, active, retry, archived = self.redis.pipeline(
            [
                ("LLEN", self.key("pending")),
                ("LLEN", self.key("active")),
                ("ZCARD", self.key("retry")),
                ("ZCARD", self.key("archived")),
            ]
        )
        return {"pending": pending, "active": active, "scheduled": 0, "retry": retry, "archived": archived}
