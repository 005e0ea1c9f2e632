"""Keys that seal what is stored: which of them sealed something stands in front of it, so that keys can change.

A sealed value is a format byte, four bytes that name the key, a nonce and the AES-256-GCM text with its tag: 33 bytes
more than what is in it. It opens only as what it was sealed as: the same run, kind and name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import CodecError

PLAIN = "plain"
"""Stands among keys for none: what is not sealed."""
SETTING = "SIGNOFF_ENCRYPTION_KEYS"
KEY_BYTES = 32

_FORMAT = b"\xff"  # begins no UTF-8 text, so that it tells sealed from plain
_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_FORMAT) + _ID_BYTES + _NONCE_BYTES
_TEXT = "sealed:"
_WORD = "\x01"
"""Begins a word that is sealed, and no response that an author has named."""
_AS_IS = "plain:"
"""Stands before text that begins as if one of the two stood before it."""


class Keyring:
    """Seals with the first key, opens with each. `PLAIN` in a key's place stands for what is not sealed."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Each of *keys* is 32 random bytes in URL-safe base64, as `new_key` makes them, or `PLAIN`.

        Raises:
            ValueError: one is no key, or stands there twice; the message tells which by its place, never what it is.
        """
        if not keys:
            raise ValueError("names no key; `signoff key` makes one")
        self._keys: dict[bytes, bytes] = {}
        self.reads_plain = PLAIN in keys
        """Whether what is not sealed is read, too."""
        for place, text in enumerate(keys, 1):
            if text != PLAIN:
                key = _key(text, place)
                if _id(key) in self._keys:
                    raise ValueError(f"names key {place} twice; leave one out")
                self._keys[_id(key)] = key
        self._seals_with: bytes | None = None if keys[0] == PLAIN else next(iter(self._keys))

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """Read keys with commas between them.

        Raises:
            ValueError: see `Keyring`.
        """
        return cls([part for part in map(str.strip, text.split(",")) if part])

    @property
    def seals(self) -> bool:
        """Whether what is written is sealed."""
        return self._seals_with is not None

    @property
    def changes(self) -> bool:
        """Whether there is more than one way in which something may be sealed."""
        return len(self._keys) + self.reads_plain > 1

    def passes(self, *values: bytes) -> bool:
        """Tell whether `open` would return each of *values* as it is."""
        return self.reads_plain and not any(value.startswith(_FORMAT) for value in values)

    def seal(self, run_id: str, kind: str, name: str, value: bytes) -> bytes:
        """Return *value* so that only `open` with the same *run_id*, *kind* and *name* undoes it.

        Nothing stays nothing.
        """
        if self._seals_with is None or not value:
            return value
        return self._sealed(
            self._seals_with, secrets.token_bytes(_NONCE_BYTES), run_id, _bound(run_id, kind, name), value
        )

    def open(self, run_id: str, kind: str, name: str, value: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            CodecError: the key is not here, or this is not what was sealed under that name.
        """
        if not value:
            return value
        where = f"{kind} {name!r} of run {run_id}" if name else f"{kind} of run {run_id}"
        if not value.startswith(_FORMAT):
            if self.reads_plain:
                return value
            raise CodecError(
                f"{where} is not encrypted, and {SETTING} says that everything is; "
                f"add ,{PLAIN} to it until what was written before is over"
            )
        key_id = value[1 : 1 + _ID_BYTES]
        key = self._keys.get(key_id)
        if key is None:
            raise CodecError(f"{where} is encrypted with key {key_id.hex()}, which is not here; add it to {SETTING}")
        nonce, sealed = value[1 + _ID_BYTES : _HEAD_BYTES], value[_HEAD_BYTES:]
        try:
            return _cipher(key, run_id).decrypt(nonce, sealed, _bound(run_id, kind, name))
        except (InvalidTag, ValueError):
            raise CodecError(f"{where} was changed after it was encrypted, or belongs elsewhere") from None

    def seal_text(self, run_id: str, kind: str, name: str, text: str) -> str:
        """Do as `seal` does, for what is kept as text."""
        if not self.seals or not text:
            return _AS_IS + text if text.startswith((_TEXT, _AS_IS)) else text
        return _TEXT + base64.b64encode(self.seal(run_id, kind, name, text.encode())).decode()

    def open_text(self, run_id: str, kind: str, name: str, text: str) -> str:
        """Do as `open` does, for what `seal_text` returned.

        Raises:
            CodecError: see `open`.
        """
        if not text.startswith(_TEXT):
            return self.open(run_id, kind, name, text.encode()).decode().removeprefix(_AS_IS)
        return self.open(run_id, kind, name, _in_base64(text.removeprefix(_TEXT))).decode()

    def seal_word(self, run_id: str, kind: str, name: str, word: str, like: bytes | None = None) -> str:
        """Do as `seal_text` does, but the same twice for the same, so that a store can tell whether two are the same.

        Whoever sees them can, too, and learns no more of them. It has the key of *like*, something that is stored, or
        none as that has, so that two stay the same while keys change; None, or a key that is not here: the first.
        """
        key_id = self._seals_with if like is None else self._key_of(like)
        if key_id is None or not word:
            return f"{_WORD}{_AS_IS}{word}" if word.startswith(_WORD) else word
        bound, value = _bound(run_id, kind, name), word.encode(errors="surrogatepass")
        # What it is made of is all that is sealed, so that no two values have one nonce.
        nonce = hmac.digest(self._keys[key_id], b"\0".join((b"word", bound, value)), "sha256")[:_NONCE_BYTES]
        return _WORD + base64.b64encode(self._sealed(key_id, nonce, run_id, bound, value)).decode()

    def open_word(self, run_id: str, kind: str, name: str, word: str) -> str:
        """Undo `seal_word`; any other word is returned as it is.

        Raises:
            CodecError: see `open`.
        """
        if not word.startswith(_WORD):
            return word
        if word.startswith(_WORD + _AS_IS):
            return word.removeprefix(_WORD + _AS_IS)
        return self.open(run_id, kind, name, _in_base64(word.removeprefix(_WORD))).decode(errors="surrogatepass")

    def _key_of(self, value: bytes) -> bytes | None:
        if not value.startswith(_FORMAT):
            return None if self.reads_plain else self._seals_with
        key_id = value[1 : 1 + _ID_BYTES]
        return key_id if key_id in self._keys else self._seals_with

    def _sealed(self, key_id: bytes, nonce: bytes, run_id: str, bound: bytes, value: bytes) -> bytes:
        return b"".join((_FORMAT, key_id, nonce, _cipher(self._keys[key_id], run_id).encrypt(nonce, value, bound)))


def new_key() -> str:
    """Return a key nobody else has."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _in_base64(text: str) -> bytes:
    """Return what was sealed as text; what opens with no key, if it was spoilt."""
    try:
        return base64.b64decode(text, validate=True) or _FORMAT
    except ValueError:
        return _FORMAT


def _key(text: str, place: int) -> bytes:
    try:
        key = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"key {place} is not {KEY_BYTES} bytes in URL-safe base64 (44 characters); `signoff key` makes one"
        )
    return key


def _id(key: bytes) -> bytes:
    """Return what names a key and says nothing of it."""
    return hashlib.sha256(b"signoff key id" + key).digest()[:_ID_BYTES]


@lru_cache(maxsize=512)
def _cipher(key: bytes, run_id: str) -> AESGCM:
    """Return what seals for one run: with a key of its own, chance nonces do not meet in 2**32 values of that run."""
    return AESGCM(hmac.digest(key, run_id.encode(), "sha256"))


def _bound(run_id: str, kind: str, name: str) -> bytes:
    return "\0".join((run_id, kind, name)).encode()
