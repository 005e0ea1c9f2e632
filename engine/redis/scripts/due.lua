-- Read what stands before now in an index of one lane, oldest first.
--   KEYS[1]  skew   KEYS[2]  ready, timers, outq or verify
--   ARGV[1]  limit
--   returns  {member, score, ...}
return redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', STAMP, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
