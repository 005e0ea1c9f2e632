-- Give a run to a worker, if it has something to do.
--   KEYS     see common.lua; no asks
--   ARGV[2]  worker   ARGV[3]  lease in seconds   ARGV[4]  seconds that a run is left to others
--   ARGV[5...]  workflows the worker knows; none: any
--   returns  {fence, attempts, now, until, meta, inbox, state, memo, open asks} or nil
local meta = redis.call('HMGET', META, 's', 'l', 'k', 'w', 'i')
if not meta[1] or OVER[meta[1]] then
  redis.call('ZREM', READY, RUN)
  return false
end
if meta[2] and tonumber(meta[2]) > NOW then return false end
if not has_work(meta) then
  if meta[3] then redis.call('ZADD', READY, meta[3], RUN) else redis.call('ZREM', READY, RUN) end
  return false
end
if is_left(meta[5], ARGV[2]) then return false end
if not knows(5, meta[4]) and leave(meta[5], ARGV[2], '', tonumber(ARGV[4]), 'workflow', meta[4]) then return false end

return take(ARGV[2], tonumber(ARGV[3]))
