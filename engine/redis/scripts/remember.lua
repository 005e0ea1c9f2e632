-- Store the result of a call in flight, unless there is one.
--   KEYS     see common.lua; no asks
--   ARGV[2]  fence   ARGV[3]  key   ARGV[4]  value
--   returns  what is stored, or nil if somebody else has the run
if not holds(ARGV[2]) then return false end

redis.call('HSETNX', MEMO, ARGV[3], ARGV[4])
return redis.call('HGET', MEMO, ARGV[3])
