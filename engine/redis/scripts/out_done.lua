-- An attempt at an effect is over: it was done, is to be tried later, or is given up.
--   KEYS     see common.lua; KEYS[17], if given, its ask
--   ARGV[2]  effect   ARGV[4]  "done", "delay", "put back" or "drop"       ARGV[6]  seconds until a done effect
--   ARGV[3]  attempt  ARGV[5]  the reference, when to try again, or why             in doubt is looked at
--   ARGV[8]  the id of its ask, or ""                                      ARGV[7]  why one is put off, or ""
--   returns  the reference that counts; "" if none does
local effect, attempt, how, what = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = KEYS[FIRST_ASK]
local member = RUN .. '|' .. effect
local entry = redis.call('HGET', OUTBOX, effect)
if not entry then
  redis.call('ZREM', OUTQ, member)
  return ''
end
local item = unpack_items(string.sub(entry, 2))
local look_at = NOW + tonumber(ARGV[6])
local kind = string.match(effect, '^(%a+):')

-- Somebody else has taken this over meanwhile: what was drawn here may be older, and have come later.
local overtaken = string.sub(entry, 1, 1) == 'd' or item[2] ~= attempt
if overtaken and (kind == 'update' or kind == 'lock') and key and redis.call('HEXISTS', key, 'o') == 1 then
  owe_update(key, ARGV[8])
end

if string.sub(entry, 1, 1) == 'd' then
  -- Two senders did it: the second copy must be gone when somebody looks.
  if how == 'done' and item[2] ~= what and item[2] ~= '' then
    redis.call('ZADD', VERIFY, 'NX', look_at, in_doubt(effect, item[2]))
  end
  return item[2]
end
if how ~= 'done' and item[2] ~= attempt then return '' end -- somebody else is at it now
if how == 'put back' then item[2] = attempt - 1 end
if how == 'delay' or how == 'put back' then
  redis.call('HSET', OUTBOX, effect, 'p' .. pack(unpack(item)))
  redis.call('ZADD', OUTQ, what, member)
  if ARGV[7] ~= '' then journal('held back', '', 'effect', effect, 'reason', ARGV[7]) end
  return ''
end

local ref = how == 'done' and what or ''
redis.call('HSET', OUTBOX, effect, 'd' .. pack(STAMP, ref))
redis.call('ZREM', OUTQ, member)
local is_prompt = kind == 'prompt'
if how == 'done' then
  if tonumber(item[2]) > 1 and ref ~= '' then redis.call('ZADD', VERIFY, look_at, in_doubt(effect, ref)) end
  if is_prompt and not meta.h then redis.call('HSET', META, 'h', ref) end
  if is_prompt or kind == 'copy' then
    if key and redis.call('HEXISTS', key, 'o') == 1 then
      local messages = redis.call('HGET', key, 'm') or ''
      local known = false
      for _, message in ipairs(unpack_items(messages)) do known = known or message == ref end
      if not known then redis.call('HSET', key, 'm', messages .. pack(ref)) end
      -- A copy may show what the others no longer do: they were updated while it was on its way.
      local changed = redis.call('HMGET', key, 's', 'u')
      if kind == 'copy' and (changed[1] or changed[2]) then owe_update(key, item[3]) end
    end
  end
  journal('shown', '', 'effect', effect, 'ref', ref)
else
  journal('dropped', '', 'effect', effect, 'reason', what)
end

-- What waited for this may go.
if is_prompt or kind == 'update' then
  for _, other in ipairs(redis.call('HKEYS', OUTBOX)) do
    if string.find(other, ':' .. item[3], 1, true) then
      local waits = redis.call('HGET', OUTBOX, other)
      if string.sub(waits, 1, 1) == 'p' and unpack_items(string.sub(waits, 2))[4] == effect then
        redis.call('ZADD', OUTQ, 'LT', STAMP, RUN .. '|' .. other)
      end
    end
  end
end

-- Keep enough done effects to tell a late sender whose copy counts, and no more.
if redis.call('HLEN', OUTBOX) > $DONE_KEPT then
  local outbox, done = redis.call('HGETALL', OUTBOX), {}
  for i = 1, #outbox, 2 do
    if string.sub(outbox[i + 1], 1, 1) == 'd' then
      done[#done + 1] = { unpack_items(string.sub(outbox[i + 1], 2))[1], outbox[i] }
    end
  end
  if #done > $DONE_KEPT then
    table.sort(done, function(a, b) return tonumber(a[1]) < tonumber(b[1]) end)
    for i = 1, #done - $DONE_KEPT / 2 do redis.call('HDEL', OUTBOX, done[i][2]) end
  end
end
return ref
