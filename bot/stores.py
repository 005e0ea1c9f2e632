"""Where runs and installations are kept, as the settings say."""

from __future__ import annotations

from bot.installs import InstallStore
from bot.settings import StoreSettings
from engine.redis import RedisRunStore
from engine.redis.connections import connections_to
from engine.redis.scripts import Server
from engine.sealed_store import SealedRunStore

INSTALLS_TIMEOUT_S = 5.0


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


def installs_of(settings: StoreSettings) -> InstallStore:
    """Return the store of installations; nothing is connected yet."""
    connections = connections_to(settings.redis_url.get_secret_value(), INSTALLS_TIMEOUT_S)
    server = Server(connections, settings.replicas, INSTALLS_TIMEOUT_S)
    return InstallStore(server, settings.key_prefix, settings.keyring)
