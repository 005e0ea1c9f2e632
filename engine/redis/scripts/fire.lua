-- Fire the rungs of one ask that are due, or, for ask "", forget a run that is over; nothing happens twice.
--   KEYS     see common.lua; KEYS[17] the ask
--   ARGV[2]  ask id
--   returns  1 if the run has become ready by it, else 0
local ask, key = ARGV[2], KEYS[FIRST_ASK]
local member = RUN .. '|' .. ask
local is = fields_of(key, 'o', 's', 'l', 'd', 'v', 'u', 'w')
if not is.o or is.s or not meta.s then
  redis.call('ZREM', TIMERS, member)
  if ask == '' then redis.call('ZREM', ENDED, RUN) end
  return 0
end

-- Rungs are kind, n, at, in order of time; the deadline is the last there can be.
local rungs = unpack_items(is.l or '')
local fired, i = {}, 1
while i <= #rungs and tonumber(rungs[i + 2]) <= NOW do
  if rungs[i] == 'expire' then break end
  fired[#fired + 1] = { rungs[i], rungs[i + 1] }
  i = i + 3
end
local ends = is.d
if rungs[i] == 'expire' and not (ends and tonumber(ends) <= tonumber(rungs[i + 2])) then ends = rungs[i + 2] end

if ends and tonumber(ends) <= NOW then
  -- What should have come before goes unsaid: a reminder of a question that is closed helps nobody.
  push('expired', ask, '', '')
  wake()
  close_ask(key, ask, is, 'expired', '', ends, '', '')
  keep_closed()
  journal('expired', '', 'ask', ask)
  return meta.s == 'parked' and 0 or 1
end

if #fired > 0 then
  redis.call('HSET', key, 'g', STAMP)
  owe_update(key, ask)
end
local shown = shown_by(ask, fields_of(key, 'v', 'u'))
for _, rung in ipairs(fired) do
  owe(rung[1] .. ':' .. ask .. ':' .. rung[2], ask, shown, '')
  journal(rung[1] == 'remind' and 'reminded' or 'escalated', '', 'ask', ask, 'n', rung[2])
end
local later = {}
for j = i, #rungs do later[#later + 1] = rungs[j] end
if #later > 0 then redis.call('HSET', key, 'l', pack_all(later)) else redis.call('HDEL', key, 'l') end
local next_at = later[3] or ends
if ends and next_at and tonumber(ends) < tonumber(next_at) then next_at = ends end
if next_at then redis.call('ZADD', TIMERS, next_at, member) else redis.call('ZREM', TIMERS, member) end
return 0
