-- Let a run that is parked, failed or cancelled go on.
--   KEYS     see common.lua; from KEYS[17] its closed asks
--   ARGV[2]  by   ARGV[3]  those asks, as they stand in meta
--   returns  what the run was: only if that is one of the three does it go on; "" if it is unknown; "changed" if
--            it has other closed asks by now
local was = meta.s
if not was then return '' end
if was ~= 'parked' and was ~= 'failed' and was ~= 'cancelled' then return was end
if (meta.x or '') ~= ARGV[3] then return 'changed' end

redis.call('HDEL', META, 'n', 'z')
redis.call('HSET', META, 's', 'ready', 'k', STAMP)
redis.call('ZADD', READY, STAMP, RUN)
if OVER[was] then
  for i = 2, 9 do redis.call('PERSIST', KEYS[i]) end
  for i = FIRST_ASK, #KEYS do redis.call('PERSIST', KEYS[i]) end
  redis.call('ZREM', ENDED, RUN)
  redis.call('ZREM', TIMERS, RUN .. '|')
  redis.call('ZADD', LIVE, meta.c, RUN)
  redis.call('RPUSH', INBOX, pack('reopened', STAMP, '', ARGV[2], ''))
end
journal('reopened', ARGV[2])
return was
