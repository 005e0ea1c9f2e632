-- Apply one transition of a run.
--   KEYS      see common.lua; from KEYS[17] the asks to open, then to withdraw, then those the run holds if
--             this ends it, then those to forget
--   ARGV[2]   fence       ARGV[5]  entries consumed   ARGV[8]  note
--   ARGV[3]   version     ARGV[6]  wake at, or ""     ARGV[9]  TTL of a run that is over, in seconds
--   ARGV[4]   status      ARGV[7]  "1" to release
--   then lists, each after its length: state written (name, value), state removed, memo forgotten,
--   asks opened (id, event, digest, allowed, quorum, "1" if not the requester, responses taken, complete ones,
--   deadline, rungs, first timer),
--   asks withdrawn, effects (id, body, ask), asks held, asks to forget. What is "" is left out of the hash.
--   returns   {now, version, inbox}, and if the run is still held {..., until, memo, closed asks, open asks};
--             "fenced"; "closed" and an ask
local status, consumed, wake_at, release = ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7] == '1'
local over = OVER[status]
release = release or status == 'parked'
local cursor = 10

local function list(width)
  local first, size = cursor + 1, tonumber(ARGV[cursor]) * width
  cursor = first + size
  return first, first + size - 1
end

local w1, wn = list(2)
local r1, rn = list(1)
local m1, mn = list(1)
local ASK = 11 -- values of each that is opened
local a1, an = list(ASK)
local d1, dn = list(1)
local e1, en = list(3)
local h1, hn = list(1)
local f1, fn = list(1)

if not holds(ARGV[2]) or meta.v ~= ARGV[3] then return 'fenced' end
local found = {}
for i = a1, an, ASK do
  found[i] = begun and {} or fields_of(KEYS[FIRST_ASK + (i - a1) / ASK], 'v', 'u', 'w', 'm', 'o', 's')
  if found[i].s then return { 'closed', ARGV[i] } end
end

in_parts('HSET', STATE, ARGV, w1, wn)
in_parts('HDEL', STATE, ARGV, r1, rn)
in_parts('HDEL', MEMO, ARGV, m1, mn)
if consumed > 0 and not (over or begun) then redis.call('LTRIM', INBOX, consumed, -1) end

local ask_key = FIRST_ASK + (an - a1 + 1) / ASK
for i = d1, dn do
  if cancel_ask(KEYS[ask_key], ARGV[i], '') then journal('withdrawn', '', 'ask', ARGV[i]) end
  ask_key = ask_key + 1
end

local names = { 'e', 'h', 'w', 'q', 'p', 'c', 'k', 'd', 'l' }
local opened = {}
for i = a1, an, ASK do
  local key, ask, before = KEYS[FIRST_ASK + (i - a1) / ASK], ARGV[i], found[i]
  local revision
  if before.o then -- asked again while open: the question changes, and answers to the old one are stale
    revision = (before.v or 1) + 1
    redis.call('DEL', key)
    take_from_index(ask, before.w)
    redis.call('HSET', key, 'v', revision)
    if before.m then redis.call('HSET', key, 'm', before.m) end
  end
  -- A microsecond apart: asks of one commit keep their order.
  local fields = { 'o', string.format('%.6f', NOW + #opened / 1000000) }
  for j = 1, #names do
    if ARGV[i + j] ~= '' then
      fields[#fields + 1] = names[j]
      fields[#fields + 1] = ARGV[i + j]
    end
  end
  redis.call('HSET', key, unpack(fields))
  if ARGV[i + 10] ~= '' then
    redis.call('ZADD', TIMERS, ARGV[i + 10], RUN .. '|' .. ask)
  elseif before.o then
    redis.call('ZREM', TIMERS, RUN .. '|' .. ask)
  end
  put_in_index(ask, ARGV[i + 3] ~= '' and ARGV[i + 3])
  local after = revision and shown_by(ask, before) or ''
  owe(prompt_of(ask, revision), ask, after, '')
  opened[#opened + 1] = ask
end

for i = e1, en, 3 do
  local after = ARGV[i + 2] ~= '' and 'prompt:' .. ARGV[i + 2] or ''
  owe(ARGV[i], ARGV[i + 2], after ~= ARGV[i] and after or '', ARGV[i + 1])
end

for i = h1, hn do
  cancel_ask(KEYS[ask_key], ARGV[i], '')
  ask_key = ask_key + 1
end
if dn >= d1 or hn >= h1 then keep_closed() end

-- An ask is forgotten once it is closed and nothing is owed that shows it.
if fn >= f1 then
  local forgotten = {}
  for i = f1, fn do
    local ask, key = ARGV[i], KEYS[ask_key]
    local owed = redis.call('HMGET', OUTBOX, 'lock:' .. ask, shown_by(ask, fields_of(key, 'v', 'u')))
    local pending = string.sub(owed[1] or '', 1, 1) == 'p' or string.sub(owed[2] or '', 1, 1) == 'p'
    if not pending and not is_open(key) then
      redis.call('DEL', key)
      forgotten[ask] = true
    end
    ask_key = ask_key + 1
  end
  local kept = {}
  for _, ask in ipairs(unpack_items(meta.x or '')) do
    if not forgotten[ask] then kept[#kept + 1] = pack(ask) end
  end
  meta.x = concat(kept)
  if meta.x ~= '' then redis.call('HSET', META, 'x', meta.x) else redis.call('HDEL', META, 'x') end
end

local inbox = (over or begun) and {} or redis.call('LRANGE', INBOX, 0, -1)
local left, free = #inbox > 0, over or release
-- One that is parked as it is cancelled is given out for that, as one that is cancelled later.
if left and (status == 'waiting' or (status == 'parked' and meta.z)) then status = 'ready' end
if over then
  redis.call('DEL', INBOX)
  if status == 'done' then redis.call('DEL', MEMO) end -- any other may be reopened, and its calls remember
  redis.call('ZREM', READY, RUN)
  redis.call('ZREM', LIVE, RUN)
  redis.call('ZADD', ENDED, meta.c, RUN)
  -- Its keys go by themselves, and then nothing but this is left to take it out of the index.
  redis.call('ZADD', TIMERS, NOW + ARGV[9] + 1, RUN .. '|')
elseif release then
  if ARGV[4] == 'parked' then wake_at = '' end
  if wake_at == '' and ARGV[4] == 'ready' then wake_at = STAMP end
  if left and status ~= 'parked' then
    redis.call('ZADD', READY, STAMP, RUN)
  elseif wake_at ~= '' then
    redis.call('ZADD', READY, wake_at, RUN)
  elseif not begun then
    redis.call('ZREM', READY, RUN)
  end
elseif begun then
  redis.call('ZADD', READY, meta.l, RUN)
end

local version = meta.v + 1
if begun then
  if not free then redis.call('HSET', META, 'l', meta.l, 'o', meta.o) end
elseif free then
  redis.call('HDEL', META, 'n', 'k', 'i', 'l', 'o')
else
  redis.call('HDEL', META, 'n', 'k', 'i')
end
redis.call('HSET', META, 's', status, 'v', version, unpack(begun or {}))
if wake_at ~= '' and not over then redis.call('HSET', META, 'k', wake_at) end

local details = { 'version', version, 'status', status }
journal('committed', '', unpack(append(details, { asks = concat(opened, ' '), note = ARGV[8] })))

if over then
  for i = 2, 9 do
    if KEYS[i] ~= INBOX and (KEYS[i] ~= MEMO or status ~= 'done') then redis.call('EXPIRE', KEYS[i], ARGV[9]) end
  end
  for i = FIRST_ASK, #KEYS do redis.call('EXPIRE', KEYS[i], ARGV[9]) end
end
if free then return { STAMP, version, inbox } end
return { STAMP, version, inbox, meta.l, redis.call('HGETALL', MEMO), meta.x or '', open_asks() }
