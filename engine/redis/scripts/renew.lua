-- Hold a run for longer.
--   KEYS     see common.lua; no asks
--   ARGV[2]  fence   ARGV[3]  seconds from now
--   returns  1, or 0 if somebody else has it
if not holds(ARGV[2]) then return 0 end

local till = string.format('%.6f', NOW + tonumber(ARGV[3]))
redis.call('HSET', META, 'l', till)
redis.call('ZADD', READY, till, RUN)
return 1
