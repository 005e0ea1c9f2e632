"""What a button or a modal carries, so that we know again which question it belongs to."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from engine.run_store import AskRecord

ID = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
"""What we take for an identifier, whoever sends it."""
TOKEN_CHARS = 2000  # of a button's value: docs.slack.dev/reference/block-kit/block-elements/button-element
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class AskToken:
    """Which question, in which revision, a button or modal belongs to, and the choice it stands for.

    *digest* is that of what was shown: a database that came back with an older state may ask something else
    under the same id. Buttons posted before there were digests have none.

    It is opaque to Slack but no secret and no proof: whoever decodes one looks everything up.
    """

    run_id: str
    ask_id: str
    revision: int
    choice: str = ""
    digest: str = ""

    @classmethod
    def of(cls, ask: AskRecord) -> AskToken:
        """Return that of a question as it is stored now."""
        return cls(ask.run_id, ask.ask_id, ask.revision, digest=ask.digest)

    def encode(self) -> str:
        """Return it as letters, digits, ``-`` and ``_``, at most 2,000 of them."""
        parts = (self.run_id, self.ask_id, str(self.revision), self.choice, self.digest)
        if any(_SEPARATOR in part for part in parts):
            raise ValueError(f"{self!r}: no part may hold U+001F")
        token = base64.urlsafe_b64encode(_SEPARATOR.join(parts).encode()).decode().rstrip("=")
        if len(token) > TOKEN_CHARS:
            raise ValueError(f"token of {len(token)} characters; Slack takes {TOKEN_CHARS}")
        return token

    @classmethod
    def decode(cls, token: object) -> AskToken | None:
        """Return what was encoded, or None for anything we never wrote."""
        if not isinstance(token, str) or len(token) > TOKEN_CHARS:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            run_id, ask_id, revision, choice, *digest = raw.decode().split(_SEPARATOR)
        except (binascii.Error, ValueError):
            return None
        if not (ID.fullmatch(run_id) and ID.fullmatch(ask_id) and re.fullmatch(r"[0-9]{1,9}", revision)):
            return None
        return cls(run_id, ask_id, int(revision), choice, *digest) if len(digest) < 2 else None

    def shows(self, ask: AskRecord) -> bool:
        """Tell whether what was shown is the question as it is stored now."""
        return self.revision == ask.revision and self.digest in ("", ask.digest)
