"""Where runs and installations are kept, and who looks at them, as the settings say."""

from __future__ import annotations

from bot.installs.store import InstallStore
from bot.listeners.audience import Audience
from bot.settings import SettingsError, StoreSettings
from engine.redis import RedisRunStore
from engine.redis.connections import connections_to
from engine.redis.scripts import Server
from engine.sealed_store import SealedRunStore

TIMEOUT_S = 5.0
"""For one call of Redis."""


def store_of(settings: StoreSettings) -> SealedRunStore:
    """Return the store of runs; nothing is connected yet."""
    return SealedRunStore(unsealed_store_of(settings), settings.keyring)


def unsealed_store_of(settings: StoreSettings) -> RedisRunStore:
    """Return the store beneath that, which sees what is encrypted as it is kept; nothing is connected yet.

    Raises:
        SettingsError: REDIS_URL cannot be read to its end.
    """
    url = settings.redis_url.get_secret_value()
    try:
        return RedisRunStore.from_url(
            url,
            prefix=settings.key_prefix,
            lanes=settings.lanes,
            patience_s=settings.patience_s,
            replicas=settings.replicas,
        )
    except ValueError as error:
        raise SettingsError(f"REDIS_URL cannot be used: {error}") from None


def installs_of(settings: StoreSettings) -> InstallStore:
    """Return the store of installations; nothing is connected yet."""
    connections = connections_to(settings.redis_url.get_secret_value(), TIMEOUT_S)
    server = Server(connections, settings.replicas, TIMEOUT_S)
    return InstallStore(server, settings.key_prefix, settings.keyring)


def audience_of(settings: StoreSettings) -> Audience:
    """Return who has App Home open; nothing is connected yet."""
    return Audience(Server(connections_to(settings.redis_url.get_secret_value(), TIMEOUT_S)), settings.key_prefix)
