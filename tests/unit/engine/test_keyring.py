"""Keys: what they seal, what they refuse to open, and what they say of a key that is none."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest

from engine.errors import CodecError
from engine.keyring import PLAIN, Keyring, new_key

OLD, NEW = new_key(), new_key()


@dataclass(frozen=True)
class Place:
    run_id: str = "k0-one"
    kind: str = "state"
    name: str = "s:draft"


def sealed(ring: Keyring, value: bytes = b"ship it") -> bytes:
    return ring.seal("k0-one", "state", "s:draft", value)


def opened(ring: Keyring, value: bytes, place: Place = Place()) -> bytes:
    return ring.open(place.run_id, place.kind, place.name, value)


def test_what_is_sealed_opens_and_does_not_show() -> None:
    ring = Keyring([NEW])

    found = sealed(ring)

    assert b"ship it" not in found
    assert len(found) == len(b"ship it") + 33
    assert opened(ring, found) == b"ship it"


def test_the_same_value_is_sealed_differently_each_time() -> None:
    ring = Keyring([NEW])

    assert sealed(ring) != sealed(ring)


@pytest.mark.parametrize("elsewhere", [Place(run_id="k0-two"), Place(kind="memo"), Place(name="s:other")])
def test_a_sealed_value_opens_only_where_it_belongs(elsewhere: Place) -> None:
    ring = Keyring([NEW])

    with pytest.raises(CodecError, match="was changed after it was encrypted, or belongs elsewhere"):
        opened(ring, sealed(ring), elsewhere)


def test_names_do_not_run_into_each_other() -> None:
    ring = Keyring([NEW])
    found = ring.seal("r", "memo", "1:a", b"x")

    with pytest.raises(CodecError):
        ring.open("r", "memo1", ":a", found)


@pytest.mark.parametrize("place", range(7 + 33))
def test_not_a_byte_can_be_changed_unseen(place: int) -> None:
    ring = Keyring([NEW])
    found = bytearray(sealed(ring))
    found[place] ^= 1

    with pytest.raises(CodecError):
        opened(ring, bytes(found))


@pytest.mark.parametrize("size", range(1, 33))
def test_what_was_cut_short_does_not_open(size: int) -> None:
    ring = Keyring([NEW])

    with pytest.raises(CodecError):
        opened(ring, sealed(ring)[:size])


def test_the_first_key_seals_and_each_opens() -> None:
    before, rotated, after = Keyring([OLD]), Keyring([NEW, OLD]), Keyring([NEW])

    assert opened(rotated, sealed(before)) == b"ship it"
    assert opened(after, sealed(rotated)) == b"ship it"


def test_a_key_that_is_not_here_is_named_and_so_is_the_setting() -> None:
    with pytest.raises(CodecError, match=r"with key [0-9a-f]{8}, which is not here; add it to SIGNOFF_ENCRYPTION_KEYS"):
        opened(Keyring([NEW]), sealed(Keyring([OLD])))


def test_what_is_not_sealed_is_read_only_if_the_keys_say_so() -> None:
    assert opened(Keyring([NEW, PLAIN]), b"ship it") == b"ship it"
    with pytest.raises(CodecError, match=r"is not encrypted.*add ,plain"):
        opened(Keyring([NEW]), b"ship it")


def test_plain_in_the_first_place_ends_sealing() -> None:
    ring = Keyring([PLAIN, OLD])

    assert not ring.seals
    assert sealed(ring) == b"ship it"
    assert opened(ring, sealed(Keyring([OLD]))) == b"ship it"


def test_nothing_stays_nothing() -> None:
    ring = Keyring([NEW])

    assert sealed(ring, b"") == b""
    assert opened(ring, b"") == b""


def test_text_is_sealed_as_text() -> None:
    ring = Keyring([NEW, PLAIN])

    found = ring.seal_text("k0-one", "note", "", "Übergabe")

    assert found.isascii()
    assert "bergabe" not in found
    assert ring.open_text("k0-one", "note", "", found) == "Übergabe"
    assert ring.open_text("k0-one", "note", "", "written before") == "written before"
    assert Keyring([PLAIN]).seal_text("k0-one", "note", "", "Übergabe") == "Übergabe"


@pytest.mark.parametrize("typed", ["sealed:", "sealed:////", "plain:", "plain:sealed:x", "plain"])
def test_nobody_s_words_pass_for_sealed_ones(typed: str) -> None:
    """Security 13: else a note that begins so would be missing from the audit."""
    kept = Keyring([PLAIN]).seal_text("k0-one", "note", "", typed)

    for ring in (Keyring([PLAIN]), Keyring([NEW, PLAIN])):
        assert ring.open_text("k0-one", "note", "", kept) == typed


@pytest.mark.parametrize("spoilt", ["sealed:####", "sealed:AAAA"])
def test_spoilt_text_does_not_open(spoilt: str) -> None:
    with pytest.raises(CodecError):
        Keyring([NEW]).open_text("k0-one", "note", "", spoilt)


def test_the_same_word_is_sealed_the_same_in_its_place_only() -> None:
    ring = Keyring([NEW])

    first, again, other, elsewhere = [
        ring.seal_word(*place)
        for place in (
            ("r", "k", "a1", "Rome"),
            ("r", "k", "a1", "Rome"),
            ("r", "k", "a1", "Oslo"),
            ("r", "k", "a2", "Rome"),
        )
    ]

    assert first == again
    assert len({first[-40:], other[-40:], elsewhere[-40:]}) == 3
    assert "Rome" not in first
    assert ring.open_word("r", "k", "a1", first) == "Rome"
    with pytest.raises(CodecError):
        ring.open_word("r", "k", "a1", elsewhere)


@pytest.mark.parametrize("word", ["approve", "\x01", "\x01x", "\x01plain:", "\ud800", ""])
def test_any_word_comes_back_with_a_key_and_without(word: str) -> None:
    for ring in (Keyring([NEW]), Keyring([PLAIN]), Keyring([NEW, PLAIN])):
        assert ring.open_word("r", "k", "a1", ring.seal_word("r", "k", "a1", word)) == word


def test_keys_are_read_with_commas_between_them() -> None:
    ring = Keyring.parse(f" {NEW} , {OLD},{PLAIN}")

    assert ring.seals
    assert ring.reads_plain
    assert opened(ring, sealed(Keyring([OLD]))) == b"ship it"


SHORT = base64.urlsafe_b64encode(b"too short").decode()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no key"),
        (" , ", "names no key"),
        (f"{OLD},{SHORT}", "key 2 is not 32 bytes in URL-safe base64"),
        ("correct horse battery staple", "key 1 is not 32 bytes"),
        (OLD[:-1], "key 1 is not 32 bytes"),
        ("schlüssel", "key 1 is not 32 bytes"),
        (f"{OLD},{NEW},{OLD}", "names key 3 twice"),
    ],
)
def test_a_bad_key_is_told_by_its_place_and_never_shown(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        Keyring.parse(text)

    assert not any(part in str(caught.value) for part in (OLD, NEW, SHORT, "horse", "schlüssel"))
