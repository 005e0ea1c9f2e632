-- Read all of a run at one moment.
--   KEYS     see common.lua; from KEYS[17] the asks it had when somebody looked
--   returns  {now, meta, state, inbox, memo, outbox, journal, open asks, each of those asks}
local asks = {}
for i = FIRST_ASK, #KEYS do asks[#asks + 1] = redis.call('HGETALL', KEYS[i]) end
return { STAMP, redis.call('HGETALL', META), redis.call('HGETALL', STATE), redis.call('LRANGE', INBOX, 0, -1),
  redis.call('HGETALL', MEMO), redis.call('HGETALL', OUTBOX), redis.call('LRANGE', JOURNAL, 0, -1), open_asks(), asks }
