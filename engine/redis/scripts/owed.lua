-- Read which effects of one run are owed now.
--   KEYS     see common.lua; no asks
--   returns  {effect, number, ...}
local found = {}
local outbox = redis.call('HGETALL', OUTBOX)
for i = 1, #outbox, 2 do
  if string.sub(outbox[i + 1], 1, 1) == 'p' then
    local not_before = redis.call('ZSCORE', OUTQ, RUN .. '|' .. outbox[i])
    if not_before and tonumber(not_before) <= NOW then
      found[#found + 1] = outbox[i]
      found[#found + 1] = unpack_items(string.sub(outbox[i + 1], 2))[1]
    end
  end
end
return found
