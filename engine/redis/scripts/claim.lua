-- Give a run to a worker, if it has something to do.
--   KEYS     see common.lua; no asks
--   ARGV[2]  worker   ARGV[3]  lease in seconds   ARGV[4]  seconds that a run is left to others
--   ARGV[5...]  workflows the worker knows; none: any
--   returns  {fence, attempts, now, until, meta, inbox, state, memo, open asks} or nil
if not meta.s or OVER[meta.s] then
  redis.call('ZREM', READY, RUN)
  return false
end
if is_held() then return false end
if not has_work() then
  if meta.k then redis.call('ZADD', READY, meta.k, RUN) else redis.call('ZREM', READY, RUN) end
  return false
end
if is_left(ARGV[2]) then return false end
if not knows(5) and leave(ARGV[2], '', tonumber(ARGV[4]), 'workflow', meta.w) then return false end

return take(ARGV[2], tonumber(ARGV[3]))
