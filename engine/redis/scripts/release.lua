-- Give a run back for whoever comes next, at once; it is as it was when it was last saved.
--   KEYS     see common.lua; no asks
--   ARGV[2]  fence
--   returns  1, or 0 if somebody else has the run
if not holds(ARGV[2]) then return 0 end

give_back()
redis.call('ZADD', READY, STAMP, RUN)
return 1
