"""Where runs are kept, as the settings say."""

from __future__ import annotations

from bot.settings import StoreSettings
from engine.redis import RedisRunStore
from engine.sealed_store import SealedRunStore


def store_of(settings: StoreSettings) -> SealedRunStore:
    """Return the store of runs; nothing is connected yet."""
    url = settings.redis_url.get_secret_value()
    kept = RedisRunStore.from_url(
        url,
        prefix=settings.key_prefix,
        lanes=settings.lanes,
        patience_s=settings.patience_s,
        replicas=settings.replicas,
    )
    return SealedRunStore(kept, settings.keyring)
