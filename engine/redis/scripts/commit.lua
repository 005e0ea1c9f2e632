-- Apply one transition of a run.
--   KEYS      see common.lua; from KEYS[17] the asks to open, then to withdraw, then those the run holds if
--             this ends it, then those to forget
--   ARGV[2]   fence       ARGV[5]  entries consumed   ARGV[8]  note
--   ARGV[3]   version     ARGV[6]  wake at, or ""     ARGV[9]  TTL of a run that is over, in seconds
--   ARGV[4]   status      ARGV[7]  "1" to release
--   then lists, each after its length: state written (name, value), state removed, memo forgotten,
--   asks opened (id, event, digest, allowed, quorum, "1" if not the requester, responses taken, deadline, rungs,
--   first timer),
--   asks withdrawn, effects (id, body, ask), asks held, asks to forget. What is "" is left out of the hash.
--   returns   {now, version, until, inbox, memo, closed asks, open asks}; "fenced"; "closed" and an ask
local status, consumed, wake, release = ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7] == '1'
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
local a1, an = list(10)
local d1, dn = list(1)
local e1, en = list(3)
local h1, hn = list(1)
local f1, fn = list(1)

local meta = redis.call('HMGET', META, 's', 'f', 'l', 'v', 't', 'c')
if not holds(meta, ARGV[2]) or meta[4] ~= ARGV[3] then return 'fenced' end
local found = {}
for i = a1, an, 10 do
  found[i] = redis.call('HMGET', KEYS[FIRST_ASK + (i - a1) / 10], 'v', 'u', 'w', 'm', 'o', 's')
  if found[i][6] then return { 'closed', ARGV[i] } end
end

-- Lua passes some 8,000 values to a call at most.
local function in_parts(command, key, first, last)
  for from = first, last, 1000 do
    redis.call(command, key, unpack(ARGV, from, math.min(from + 999, last)))
  end
end

in_parts('HSET', STATE, w1, wn)
in_parts('HDEL', STATE, r1, rn)
in_parts('HDEL', MEMO, m1, mn)
if consumed > 0 then redis.call('LTRIM', INBOX, consumed, -1) end

local ask_key = FIRST_ASK + (an - a1 + 1) / 10
for i = d1, dn do
  if is_open(KEYS[ask_key]) then
    close_ask(KEYS[ask_key], ARGV[i], 'cancelled', '', STAMP, '', '')
    journal('withdrawn', '', 'ask', ARGV[i])
  end
  ask_key = ask_key + 1
end

local names = { 'e', 'h', 'w', 'q', 'p', 'c', 'd', 'l' }
local opened = {}
for i = a1, an, 10 do
  local key, ask, before = KEYS[FIRST_ASK + (i - a1) / 10], ARGV[i], found[i]
  local revision
  if before[5] then -- asked again while open: the question changes, and answers to the old one are stale
    revision = (before[1] or 1) + 1
    redis.call('DEL', key)
    for _, member in ipairs(index_of(ask, meta[5], before[3])) do redis.call('ZREM', OPEN, member) end
    redis.call('HSET', key, 'v', revision)
    if before[4] then redis.call('HSET', key, 'm', before[4]) end
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
  if ARGV[i + 9] ~= '' then
    redis.call('ZADD', TIMERS, ARGV[i + 9], RUN .. '|' .. ask)
  elseif before[5] then
    redis.call('ZREM', TIMERS, RUN .. '|' .. ask)
  end
  local allowed = ARGV[i + 3] ~= '' and ARGV[i + 3]
  for _, member in ipairs(index_of(ask, meta[5], allowed)) do redis.call('ZADD', OPEN, 0, member) end
  local after = revision and shown_by(ask, before) or ''
  owe(prompt_of(ask, revision), ask, after, '')
  opened[#opened + 1] = ask
end

for i = e1, en, 3 do
  local after = ARGV[i + 2] ~= '' and 'prompt:' .. ARGV[i + 2] or ''
  owe(ARGV[i], ARGV[i + 2], after ~= ARGV[i] and after or '', ARGV[i + 1])
end

for i = h1, hn do
  if is_open(KEYS[ask_key]) then close_ask(KEYS[ask_key], ARGV[i], 'cancelled', '', STAMP, '', '') end
  ask_key = ask_key + 1
end

-- An ask is forgotten once it is closed and nothing is owed that shows it.
if fn >= f1 then
  local forgotten = {}
  for i = f1, fn do
    local ask, key = ARGV[i], KEYS[ask_key]
    local owed = redis.call('HMGET', OUTBOX, 'lock:' .. ask, shown_by(ask, redis.call('HMGET', key, 'v', 'u')))
    local pending = string.sub(owed[1] or '', 1, 1) == 'p' or string.sub(owed[2] or '', 1, 1) == 'p'
    if not pending and not is_open(key) then
      redis.call('DEL', key)
      forgotten[ask] = true
    end
    ask_key = ask_key + 1
  end
  local kept = {}
  for _, ask in ipairs(unpack_items(redis.call('HGET', META, 'x') or '')) do
    if not forgotten[ask] then kept[#kept + 1] = pack(ask) end
  end
  if #kept > 0 then redis.call('HSET', META, 'x', table.concat(kept)) else redis.call('HDEL', META, 'x') end
end

local inbox = over and {} or redis.call('LRANGE', INBOX, 0, -1)
local left, free = #inbox > 0, over or release
if left and status == 'waiting' then status = 'ready' end
if over then
  redis.call('DEL', INBOX)
  if status == 'done' then redis.call('DEL', MEMO) end -- any other may be reopened, and its calls remember
  redis.call('ZREM', READY, RUN)
  redis.call('ZREM', LIVE, RUN)
  redis.call('ZADD', ENDED, meta[6], RUN)
  -- Its keys go by themselves, and then nothing but this is left to take it out of the index.
  redis.call('ZADD', TIMERS, NOW + ARGV[9] + 1, RUN .. '|')
elseif release then
  if status == 'parked' then wake = '' end
  if wake == '' and ARGV[4] == 'ready' then wake = STAMP end
  if left and status ~= 'parked' then
    redis.call('ZADD', READY, STAMP, RUN)
  elseif wake ~= '' then
    redis.call('ZADD', READY, wake, RUN)
  else
    redis.call('ZREM', READY, RUN)
  end
end
local version = meta[4] + 1
if free then redis.call('HDEL', META, 'n', 'k', 'i', 'l', 'o') else redis.call('HDEL', META, 'n', 'k', 'i') end
redis.call('HSET', META, 's', status, 'v', version)
if wake ~= '' and not over then redis.call('HSET', META, 'k', wake) end

local details = { 'version', version, 'status', status }
local optional = { asks = table.concat(opened, ' '), note = ARGV[8] }
for name, value in pairs(optional) do
  if value ~= '' then
    details[#details + 1] = name
    details[#details + 1] = value
  end
end
journal('committed', '', unpack(details))

if over then
  for i = 2, 9 do
    if KEYS[i] ~= INBOX then redis.call('EXPIRE', KEYS[i], ARGV[9]) end
  end
  for i = FIRST_ASK, #KEYS do redis.call('EXPIRE', KEYS[i], ARGV[9]) end
end
return { STAMP, version, free and STAMP or meta[3], inbox, status == 'done' and {} or redis.call('HGETALL', MEMO),
  redis.call('HGET', META, 'x') or '', over and {} or open_asks() }
