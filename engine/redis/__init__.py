"""The durable store on Redis (>= 6.2) or Valkey: `RedisRunStore`. This is its database schema.

One run, one slot: every key below carries the lane of the run as its hash tag, written
``<prefix>:{<lane>}:``. A lane is a small number that is part of the run id (``k3-...``), so a
transition of a run, its wake-up, timers and outbox are one script on Redis Cluster too.
No field holds an empty value; a key that would hold nothing does not exist.

======================  ======  ==========================================================================
key                     type    holds
======================  ======  ==========================================================================
``r:<run>:meta``        hash    w workflow, g its revision, s status, v version, f fence, l end of the
                                lease and o its holder (absent: free), n claims since the last commit,
                                k wake at, i until when it is left to other workers and the workers
                                that have left it, t tenant, u requester, a address, c created, h thread,
                                e effects made so far, x closed asks still kept, z who cancelled
``r:<run>:state``       hash    the state, one field per name in `Commit.written`
``r:<run>:inbox``       list    entries not consumed: kind, at, ask, actor, body
``r:<run>:ask:<ask>``   hash    e event, h digest, o opened at; w allowed, q quorum (absent: 1), p "1" if
                                the requester may not answer, c responses taken ("*": any; absent: only
                                the event tells), k those that are a whole answer, d deadline, l rungs
                                still to come; v revision (absent: 1), s status (absent: open), b by,
                                t at, r response, a answer, y votes, m messages, n who was refused, once
                                for each try written down, u updates owed so far, g when its ladder fired
                                last, i "1" if the requester was asked for details
``r:<run>:seen``        hash    "d" or "s" + delivery id -> what it was told; only what would otherwise
                                be told differently the next time; "l": of one that was written down as late
``r:<run>:seen0``       hash    the 512 to 1,023 deliveries before those (`SEEN_KEPT`)
``r:<run>:memo``        hash    `RunStore.remember` of calls in flight
``r:<run>:outbox``      hash    effect -> "p" + number, attempts, ask, effect to wait for, body (owed)
                                or "d" + at, reference (done, or given up: no reference; `DONE_KEPT`)
``r:<run>:journal``     list    lines: at, what, by, then pairs of details (`JOURNAL_KEPT`)
``ready``               zset    run -> not before; a held run stands at the end of its lease
``timers``              zset    run|ask -> its next rung or deadline; run| -> when a run that is over is gone
``outq``                zset    run|effect -> not before; a held effect stands at the end of its lease
``verify``              zset    run|length of effect|effect|reference -> when to look at it again
``open``                zset    score 0, read by name: r|run|ask, and for each that may answer
                                a|tenant|actor|run|ask (actor "": anybody)
``live`` ``over``       zsets   run -> created: the runs that are not over, and those that are
``by:<tenant>|<user>``  zset    run -> created: what one person has started in `LINK_KEPT_S`, and gone that long after
``skew``                string  seconds added to the server's clock; tests only
``tried``               string  what `doctor` has written to see whether the server takes writes; gone at once
``told``                string  written before replicas are waited for, so that what others wrote is, too; a minute
``<prefix>:link:<ref>`` string  run id; of no lane, gone `LINK_KEPT_S` after it was made
``<prefix>:lanes``      set     every lane in use, so that a store with fewer lanes still sweeps the others
======================  ======  ==========================================================================

Several values in one field are netstrings (``5:alice4:ship``): any byte may occur in them, and both
sides read them without a parser. Times are POSIX seconds in decimal.

**What is forgotten.** A finished run: all its keys get the store's TTL in the script that finishes it,
and a timer takes it out of ``over`` once they are gone; whoever lists its requester's runs then takes it out of
``by:``, or time does.
A long run stays bounded: it keeps its last `ASKS_KEPT` closed asks, `DONE_KEPT` done effects,
`JOURNAL_KEPT` journal lines and 512 to 1,023 deliveries; a click on anything older is `Unknown`.
A list, not a stream, holds the journal: the smallest stream takes 4.3 KiB, this one some 300 bytes.

**Memory.** Hashes stay compact below 64 bytes a value and 128 fields (`hash-max-listpack-*`), so an
address longer than 64 bytes costs a run some 300 bytes more than its length.
"""

from __future__ import annotations

from engine.redis.store import RedisRunStore

__all__ = ["RedisRunStore"]
