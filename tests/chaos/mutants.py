"""The guards of the protocol, each taken out in turn: random schedules must notice, or the guard is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1

from engine.redis.scripts import Script, script


@dataclass(frozen=True)
class Mutant:
    """One script with one thing changed."""

    name: str
    script: str
    """File name of the script that has the guard."""
    guard: str
    instead: str
    safe: bool = False
    """Safety does not need it: it only saves work."""

    def text_of(self, name: str) -> Script:
        """Return script *name* as it is without the guard.

        Raises:
            ValueError: the guard is not where it is said to be.
        """
        plain = script(name)
        if self.guard not in plain.text:
            if name == self.script:
                raise ValueError(f"mutant {self.name}: {self.script}.lua no longer says {self.guard!r}")
            return plain
        if self.script not in (name, "common"):
            return plain
        text = plain.text.replace(self.guard, self.instead)
        return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


MUTANTS = (
    Mutant(
        "a commit needs no fence",
        "commit",
        "if not holds(ARGV[2]) or meta.v ~= ARGV[3]",
        "if meta.v ~= ARGV[3]",
    ),
    Mutant(
        "a commit needs neither fence nor version",
        "commit",
        "if not holds(ARGV[2]) or meta.v ~= ARGV[3]",
        "if false",
    ),
    Mutant(
        "a commit forgets what came meanwhile",
        "commit",
        "redis.call('LTRIM', INBOX, consumed, -1)",
        "redis.call('DEL', INBOX)",
    ),
    Mutant(
        "a commit does not look at what came meanwhile",
        "commit",
        "if left and status ~= 'parked' then",
        "if false then",
    ),
    Mutant("a commit consumes nothing", "commit", "if consumed > 0 and not (over or begun) then", "if false then"),
    Mutant(
        "a run that ends leaves its questions open",
        "commit",
        "for i = h1, hn do\n  cancel_ask(KEYS[ask_key], ARGV[i], '')",
        "for i = h1, hn do",
        safe=True,  # the run has withdrawn them in the same commit
    ),
    Mutant("a redelivery is judged anew", "deliver", "if told then return told end", ""),
    Mutant(
        "an answered question takes answers",
        "deliver",
        "if is.s then return closed_as(",
        "if is.s and is.s ~= 'answered' then return closed_as(",
    ),
    Mutant(
        "an answer may come late",
        "deliver",
        "if is.d and tonumber(is.d) <= NOW then return tell('expired', is.d) end",
        "",
    ),
    Mutant("one vote is a quorum", "deliver", "if count < quorum and", "if false and"),
    Mutant("a person votes twice", "deliver", "if before[i] ~= actor then", "if true then"),
    Mutant("an answer wakes nobody", "common", "then redis.call('ZADD', READY, 'LT', STAMP, RUN) end", "then end"),
    Mutant(
        "a dead worker keeps its run",
        "common",
        "redis.call('ZADD', READY, till, RUN)\n  return",
        "redis.call('ZREM', READY, RUN)\n  return",
    ),
    Mutant(
        "a claim has no fence of its own",
        "common",
        "local fence, attempts = meta.f + 1 + time[2],",
        "local fence, attempts = meta.f + 0,",
    ),
    Mutant(
        "a closed question closes again",
        "fire",
        "if not is.o or is.s or not meta.s then",
        "if not is.o or not meta.s then",
    ),
    Mutant("a result is remembered anew", "remember", "'HSETNX'", "'HSET'", safe=True),
    Mutant(
        "a stale worker remembers",
        "remember",
        "if not holds(ARGV[2]) then return false end",
        "",
    ),
    Mutant("a done effect is done again", "out_claim", "string.sub(entry, 1, 1) == 'd'", "false"),
    Mutant("the last message counts", "out_done", "if string.sub(entry, 1, 1) == 'd' then", "if false then"),
    Mutant(
        "nobody looks for second copies",
        "out_done",
        "if tonumber(item[2]) > 1 and ref ~= '' then redis.call('ZADD', VERIFY, look_at, in_doubt(effect, ref)) end",
        "",
    ),
    Mutant(
        "an effect is held for ever",
        "out_claim",
        "redis.call('ZADD', OUTQ, till, member)",
        "redis.call('ZREM', OUTQ, member)",
    ),
    Mutant(
        "a lease keeps nobody out",
        "claim",
        "if is_held() then return false end",
        "",
        safe=True,
    ),
    Mutant(
        "an effect has no lease",
        "out_claim",
        "if not_before and tonumber(not_before) > NOW then return false end",
        "",
        safe=True,
    ),
    Mutant("a claim is given for nothing", "claim", "if not has_work() then", "if false then", safe=True),
)
