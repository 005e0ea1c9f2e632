-- Take an effect to do.
--   KEYS     see common.lua; KEYS[17], if given, the ask it is probably about
--   ARGV[2]  effect   ARGV[3]  lease in seconds   ARGV[4]  the id of that ask, or ""
--   returns  {attempt, body, ask id, now, until, meta, ask or empty} or nil
local effect = ARGV[2]
local member = RUN .. '|' .. effect
local entry = redis.call('HGET', OUTBOX, effect)
if not entry or string.sub(entry, 1, 1) == 'd' then
  redis.call('ZREM', OUTQ, member)
  return false
end
local not_before = redis.call('ZSCORE', OUTQ, member)
if not_before and tonumber(not_before) > NOW then return false end
local item = unpack_items(string.sub(entry, 2))
local number, attempts, ask, after, body = item[1], item[2] + 1, item[3], item[4], item[5]
if after ~= '' and string.sub(redis.call('HGET', OUTBOX, after) or '', 1, 1) == 'p' then
  local first = redis.call('ZSCORE', OUTQ, RUN .. '|' .. after)
  if first and tonumber(first) > NOW then redis.call('ZADD', OUTQ, first, member) end
  return false
end

-- What is still to come shows all that this update would.
if string.sub(effect, 1, 7) == 'update:' then
  local revision, number = string.match(effect, '^update:.*:(%d+)%.(%d+)')
  local next_update = string.format('update:%s:%s.%d', ask, revision, number + 1)
  for _, next in ipairs({ 'lock:' .. ask, next_update }) do
    local waits = redis.call('HGET', OUTBOX, next) or ''
    if string.sub(waits, 1, 1) == 'p' and unpack_items(string.sub(waits, 2))[4] == effect then
      redis.call('HSET', OUTBOX, effect, 'd' .. pack(STAMP, ''))
      redis.call('ZREM', OUTQ, member)
      redis.call('ZADD', OUTQ, 'LT', STAMP, RUN .. '|' .. next)
      return false
    end
  end
end

local till = string.format('%.6f', NOW + tonumber(ARGV[3]))
redis.call('HSET', OUTBOX, effect, 'p' .. pack(number, attempts, ask, after, body))
redis.call('ZADD', OUTQ, till, member)
local record = {}
if ask ~= '' and ask == ARGV[4] then record = redis.call('HGETALL', KEYS[FIRST_ASK]) end
return { attempts, body, ask, STAMP, till, redis.call('HGETALL', META), record }
