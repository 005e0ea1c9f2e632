"""The durable store in this process: `MemoryRunStore`, for tests and for runs that may die with it.

It says the same as `engine.redis` to the same calls, room by room; one contract suite holds both to it. Nothing
here awaits, so each verb is atomic within its event loop.
"""

from engine.memory_store.store import MemoryRunStore

__all__ = ["MemoryRunStore"]
