-- Put before every script on one run: its keys, and what several transitions share. Each paragraph that declares
-- something the script uses goes along; to declare the others would cost each call some microseconds.
--   KEYS[1]  skew                     KEYS[8]  r:<run>:outbox     KEYS[13]  verify
--   KEYS[2]  r:<run>:meta             KEYS[9]  r:<run>:journal    KEYS[14]  open
--   KEYS[3]  r:<run>:state            KEYS[10] ready              KEYS[15]  live
--   KEYS[4]  r:<run>:inbox            KEYS[11] timers             KEYS[16]  over
--   KEYS[5]  r:<run>:seen             KEYS[12] outq               KEYS[17+] r:<run>:ask:<ask>, the asks
--   KEYS[6]  r:<run>:seen0                                                  this script may touch
--   KEYS[7]  r:<run>:memo
--   ARGV[1]  run id
local META, STATE, INBOX, SEEN, SEEN_BEFORE = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local MEMO, OUTBOX, JOURNAL = KEYS[7], KEYS[8], KEYS[9]
local READY, TIMERS, OUTQ, VERIFY, OPEN = KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local LIVE, ENDED = KEYS[15], KEYS[16]
local FIRST_ASK = 17
local RUN = ARGV[1]
local OVER = { done = true, failed = true, cancelled = true }

-- To write a number takes Lua longer than anything else that `pack` does; most items are as short as these.
local SIZES = { [0] = '0:', '1:', '2:', '3:', '4:', '5:', '6:', '7:', '8:', '9:', '10:', '11:', '12:', '13:', '14:',
  '15:', '16:', '17:', '18:', '19:', '20:' }
local concat = table.concat

-- Values as netstrings, so that no byte in them can be mistaken for a separator.
local function pack(...)
  local parts = { ... }
  for i = 1, #parts do
    local item = parts[i] .. ''
    parts[i] = (SIZES[#item] or #item .. ':') .. item
  end
  return concat(parts)
end

-- The same of a list: a call takes some 8,000 values at most.
local function pack_all(items)
  local parts = {}
  for i = 1, #items do parts[i] = pack(items[i]) end
  return concat(parts)
end

local find, sub = string.find, string.sub

local function unpack_items(text)
  local items, from, last = {}, 1, #text
  while from <= last do
    local colon = find(text, ':', from, true)
    local ends = colon + sub(text, from, colon - 1)
    items[#items + 1] = sub(text, colon + 1, ends)
    from = ends + 1
  end
  return items
end

-- Lua passes some 8,000 values to a call at most.
local function in_parts(command, key, items, first, last)
  for from = first, last, 1000 do
    redis.call(command, key, unpack(items, from, math.min(from + 999, last)))
  end
end

-- Append name, value of those that are not ''.
local function append(fields, named)
  for name, value in pairs(named) do
    if value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  return fields
end

-- Some fields of a hash by their names; one that is absent is nil.
local function fields_of(key, ...)
  local names, values, found = { ... }, redis.call('HMGET', key, ...), {}
  for i = 1, #names do found[names[i]] = values[i] or nil end
  return found
end

-- What `new_run` has told of a run that this script makes: nothing else of it is stored.
local begun

-- What META said, of all the fields that the script mentions; one that is absent is nil.
local stored = redis.call('HMGET', META, $META_NAMES)
local meta = { $META_VALUES }

-- RPUSHX: a run that was forgotten meanwhile must not leave a line behind that lives for ever.
local function journal(what, by, ...)
  if redis.call('RPUSHX', JOURNAL, pack(STAMP, what, by, ...)) > $JOURNAL_KEPT + 500 then
    redis.call('LTRIM', JOURNAL, -$JOURNAL_KEPT, -1)
  end
end

local function is_held() return meta.l and tonumber(meta.l) > NOW end

local function told_before(delivery)
  return redis.call('HGET', SEEN, delivery) or redis.call('HGET', SEEN_BEFORE, delivery)
end

local function see(delivery, told)
  redis.call('HSET', SEEN, delivery, told)
  if redis.call('HLEN', SEEN) >= $SEEN_KEPT then redis.call('RENAME', SEEN, SEEN_BEFORE) end
end

-- Something new for the run to look at. A parked one keeps it for when somebody reopens it.
local function push(kind, ask, actor, body)
  redis.call('RPUSH', INBOX, pack(kind, STAMP, ask, actor, body))
  if meta.s ~= 'parked' and meta.s ~= 'ready' then redis.call('HSET', META, 's', 'ready') end
end

-- Give the run out at once. One in work stays at the end of its lease: its commit sees the inbox.
local function wake()
  if meta.s ~= 'parked' and not is_held() then redis.call('ZADD', READY, 'LT', STAMP, RUN) end
end

local function prompt_of(ask, revision)
  if tonumber(revision or 1) > 1 then return 'prompt:' .. ask .. ':' .. revision end
  return 'prompt:' .. ask
end

local function owe(effect, ask, after, body)
  local number = redis.call('HINCRBY', META, 'e', 1) -- for their order; one that nobody gets does no harm
  if redis.call('HSETNX', OUTBOX, effect, 'p' .. pack(number, 0, ask, after, body)) == 0 then return end
  redis.call('ZADD', OUTQ, STAMP, RUN .. '|' .. effect)
end

-- The members of `open` that stand for one ask. A | in a name would look like the end of it.
local function index_of(ask, allowed)
  local members = { 'r|' .. RUN .. '|' .. ask }
  local actors = allowed and unpack_items(allowed) or { '' }
  for i = 1, #actors do
    local name = string.gsub((meta.t or ''), '|', '\1') .. '|' .. string.gsub(actors[i], '|', '\1')
    members[i + 1] = 'a|' .. name .. '|' .. RUN .. '|' .. ask
  end
  return members
end

local function put_in_index(ask, allowed)
  local scored = {}
  for i, member in ipairs(index_of(ask, allowed)) do scored[2 * i - 1], scored[2 * i] = 0, member end
  in_parts('ZADD', OPEN, scored, 1, #scored)
end

local function take_from_index(ask, allowed)
  local members = index_of(ask, allowed)
  in_parts('ZREM', OPEN, members, 1, #members)
end

-- What META says of a new run besides its status and version, as a list; see `start.lua`.
local function new_run(fence, workflow, graph, tenant, requester, address)
  return append({ 'f', fence, 'c', STAMP, 'w', workflow, 'g', graph }, { t = tenant, u = requester, a = address })
end

-- A run joins those of its requester, if it has one. Forgotten ones are taken out by whoever looks for them, or here.
local function file_under(key, requester)
  if requester == '' then return end
  redis.call('ZADD', key, STAMP, RUN)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', NOW - $BY_KEPT_S)
  redis.call('EXPIRE', key, $BY_KEPT_S)
end

-- The last effect that brings what is shown of an ask to how it is now; `is` has its v and u.
local function shown_by(ask, is)
  if is.u then return 'update:' .. ask .. ':' .. (is.v or 1) .. '.' .. is.u end
  return prompt_of(ask, is.v)
end

-- Owe that every message of an ask shows it as it is now, after what is still on its way.
local function owe_update(key, ask)
  local is = fields_of(key, 'v', 'u')
  local after = shown_by(ask, is)
  is.u = redis.call('HINCRBY', key, 'u', 1)
  owe(shown_by(ask, is), ask, after, '')
end

local function in_doubt(effect, ref) return RUN .. '|' .. #effect .. '|' .. effect .. '|' .. ref end

-- Many may close at once, so what this adds to meta.x is stored by `keep_closed`. `is` has its v, u, w, d and l.
local function close_ask(key, ask, is, status, by, at, response, answer)
  redis.call('HSET', key, unpack(append({ 's', status, 't', at }, { b = by, r = response, a = answer })))
  if is.l then redis.call('HDEL', key, 'l') end
  if is.d or is.l then redis.call('ZREM', TIMERS, RUN .. '|' .. ask) end
  meta.x = (meta.x or '') .. pack(ask)
  take_from_index(ask, is.w)
  owe('lock:' .. ask, ask, shown_by(ask, is), '')
end

local function keep_closed()
  if meta.x then redis.call('HSET', META, 'x', meta.x) end
end

-- What an ask that is closed tells whoever comes late: it never changes, so it need not be kept for redeliveries.
-- `is` has its s, b, t and r.
local function closed_as(is)
  if is.s == 'answered' then return pack('already', is.b or '', is.t, is.r or '') end
  if is.s == 'expired' then return pack('expired', is.t) end
  return pack('cancelled', is.b or '', is.t)
end

local function is_open(key)
  local is = redis.call('HMGET', key, 'o', 's')
  return is[1] and not is[2]
end

-- Close an ask that nobody has answered, if it is open still; tell whether it was.
local function cancel_ask(key, ask, by)
  if not is_open(key) then return false end
  local is = fields_of(key, 'v', 'u', 'w', 'd', 'l')
  close_ask(key, ask, is, 'cancelled', by, STAMP, '', '')
  return true
end

local function open_asks()
  return redis.call('ZRANGEBYLEX', OPEN, '[r|' .. RUN .. '|', '(r|' .. RUN .. '}')
end

local function ask_of(member) return string.sub(member, #RUN + 4) end

-- Whether the run would be given to a worker now. A lease that ran out means that its holder left something unfinished.
local function has_work()
  if meta.s == 'parked' then return false end
  return meta.l or (meta.k and tonumber(meta.k) <= NOW) or redis.call('LLEN', INBOX) > 0
end

-- Whether a worker knows the run's workflow; the names it knows are given from ARGV[first], none: any.
local function knows(first)
  for i = first, #ARGV do
    if ARGV[i] == meta.w then return true end
  end
  return #ARGV < first
end

-- The microseconds in the fence keep out whoever was given the run by a claim that the server has lost since.
local function take(worker, lease_s)
  local fence, attempts = meta.f + 1 + time[2], (meta.n or 0) + 1
  local till = string.format('%.6f', NOW + lease_s)
  redis.call('HSET', META, 'f', fence, 'n', attempts, 'l', till, 'o', worker)
  redis.call('ZADD', READY, till, RUN)
  return { fence, attempts, STAMP, till, { meta.v, meta.w, meta.g, meta.u or '', meta.t or '', meta.x or '' },
    redis.call('LRANGE', INBOX, 0, -1), redis.call('HGETALL', STATE), redis.call('HGETALL', MEMO), open_asks() }
end

-- A run that a worker cannot read is left to others; i is until when, and the workers that need not look again.

-- Give the others a moment to take it before anybody looks at it.
local function leave_alone() redis.call('ZADD', READY, NOW + $LEAVE_PAUSE_S, RUN) end

-- Whether it is still left to others than this worker.
local function is_left(worker)
  local items = unpack_items(meta.i or '')
  for i = 2, #items do
    if items[i] == worker and tonumber(items[1]) > NOW then
      leave_alone()
      return true
    end
  end
  return false
end

-- `seen` is the worker as one that need not look again, packed, or ''. False once the others have had their time.
local function leave(worker, seen, patience_s, ...)
  local left = meta.i
  local till = tonumber(unpack_items(left or '')[1] or NOW + patience_s)
  if till <= NOW then return false end
  leave_alone()
  if not left or seen ~= '' then
    redis.call('HSET', META, 'i', (left or pack(string.format('%.6f', till))) .. seen)
    journal('left', worker, ...)
  end
  return true
end

-- Take a run from its holder as it was before it was claimed; that it was tells nothing of what it does to a worker.
local function give_back()
  redis.call('HDEL', META, 'l', 'o')
  redis.call('HSET', META, 's', 'ready', 'k', STAMP)
  if tonumber(meta.n or 0) > 0 then redis.call('HINCRBY', META, 'n', -1) end
end

-- Whether a worker still holds the run with this fence.
local function holds(fence)
  return meta.s and not OVER[meta.s] and meta.f == fence and meta.l
end
