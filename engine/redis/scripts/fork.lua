-- Create a run from what another has, and make it ready, unless it exists.
--   KEYS     see common.lua; from KEYS[17] its asks; last the index of its requester's runs
--   ARGV[2]  workflow      ARGV[4]  tenant      ARGV[6]  address   ARGV[8]  the other run
--   ARGV[3]  its revision  ARGV[5]  requester   ARGV[7]  by
--   then lists, each after its length: state (name, value), memo (name, value), inbox, asks (id, event, digest),
--   which are closed
--   returns  1 if created, else 0
if meta.s then return 0 end
local cursor = 9
local function each(width, act)
  local last = cursor + tonumber(ARGV[cursor]) * width
  for i = cursor + 1, last, width do act(i) end
  cursor = last + 1
end

redis.call('HSET', META, 's', 'ready', 'v', 0, 'k', STAMP, unpack(new_run(0, ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])))
each(2, function(i) redis.call('HSET', STATE, ARGV[i], ARGV[i + 1]) end)
each(2, function(i) redis.call('HSET', MEMO, ARGV[i], ARGV[i + 1]) end)
each(1, function(i) redis.call('RPUSH', INBOX, ARGV[i]) end)
local key, closed = FIRST_ASK, {}
each(3, function(i)
  local opened_at = string.format('%.6f', NOW + #closed / 1000000) -- so that they keep their order
  redis.call('HSET', KEYS[key], 'o', opened_at, 'e', ARGV[i + 1], 'h', ARGV[i + 2], 's', 'cancelled', 't', STAMP)
  closed[#closed + 1] = ARGV[i]
  key = key + 1
end)
if #closed > 0 then redis.call('HSET', META, 'x', pack_all(closed)) end
redis.call('RPUSH', JOURNAL, pack(STAMP, 'forked', ARGV[7], 'from', ARGV[8]))
redis.call('ZADD', READY, STAMP, RUN)
redis.call('ZADD', LIVE, STAMP, RUN)
file_under(KEYS[#KEYS], ARGV[5])
return 1
