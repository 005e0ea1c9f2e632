-- Remove everything of a run.
--   KEYS        see common.lua; from KEYS[17] its asks; last the index of its requester's runs
--   ARGV[2]     "1": even if it is not over   ARGV[3]  its closed asks, as they stand in meta
--   ARGV[4...]  the ids of its asks
--   returns     what the run was: unless it is over it stays, without a "1"; "" if it is unknown; "changed" if it
--               has other asks by now
if not meta.s then return '' end
if not OVER[meta.s] and ARGV[2] ~= '1' then return meta.s end
if (meta.x or '') ~= ARGV[3] then return 'changed' end
local given = {}
for i = 4, #ARGV do given[ARGV[i]] = true end
for _, member in ipairs(open_asks()) do
  if not given[ask_of(member)] then return 'changed' end
end

for i = 4, #ARGV do
  local key = KEYS[FIRST_ASK + i - 4]
  take_from_index(ARGV[i], redis.call('HGET', key, 'w'))
  redis.call('ZREM', TIMERS, RUN .. '|' .. ARGV[i])
  redis.call('DEL', key)
end
local outbox = redis.call('HGETALL', OUTBOX)
for i = 1, #outbox, 2 do
  redis.call('ZREM', OUTQ, RUN .. '|' .. outbox[i])
  if string.sub(outbox[i + 1], 1, 1) == 'd' then
    redis.call('ZREM', VERIFY, in_doubt(outbox[i], unpack_items(string.sub(outbox[i + 1], 2))[2]))
  end
end
redis.call('ZREM', READY, RUN)
redis.call('ZREM', LIVE, RUN)
redis.call('ZREM', ENDED, RUN)
redis.call('ZREM', TIMERS, RUN .. '|')
redis.call('ZREM', KEYS[#KEYS], RUN)
for i = 2, 9 do redis.call('DEL', KEYS[i]) end
return meta.s
