"""What a button carries is read for what we wrote, or not at all."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.payloads.tokens import AskToken

IDS = st.from_regex(r"[A-Za-z0-9_.:-]{1,60}", fullmatch=True)
CHOSEN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=75)


@given(st.builds(AskToken, IDS, IDS, st.integers(0, 10**6), CHOSEN))
def test_decoding_a_token_undoes_encoding(token: AskToken) -> None:
    encoded = token.encode()

    assert AskToken.decode(encoded) == token
    assert encoded.replace("-", "").replace("_", "").isalnum()
    assert len(encoded) <= 2000


@given(st.one_of(st.none(), st.text(), st.integers(), st.binary(), st.lists(st.text())))
def test_garbage_is_no_token(garbage: object) -> None:
    assert AskToken.decode(garbage) is None


@pytest.mark.parametrize(
    "garbage", ["", "cjEfYTEfMR9h!", "W" * 2001, "ÿ", "cjE", "AAAA", "cjEfYTEfeB9h", "cjEfYTEfLTEfYQ"]
)
def test_a_forged_token_is_none(garbage: str) -> None:
    assert AskToken.decode(garbage) is None


def test_a_token_posted_before_there_were_digests_is_read() -> None:
    old = base64.urlsafe_b64encode(b"\x1f".join([b"k1-a", b"a1", b"2", b"ship"])).decode().rstrip("=")

    assert AskToken.decode(old) == AskToken("k1-a", "a1", 2, "ship", digest="")
