-- Change something about an open ask without answering it.
--   KEYS     see common.lua; KEYS[17] the ask
--   ARGV[2]  ask id        ARGV[5]  what, for the journal        ARGV[8]  "1" if the requester is asked something
--   ARGV[3]  delivery id   ARGV[6]  note, or ""                  ARGV[9]  who may answer as far as the caller knows
--   ARGV[4]  actor         ARGV[7]  "1" if that changes who      ARGV[10] who may from now on
--                                   may answer, else ""          ARGV[11...]  effects to owe (id, body)
--   returns  the verdict: its name and fields
local ask, delivery, actor, what = ARGV[2], 'd' .. ARGV[3], ARGV[4], ARGV[5]
local key, before, after = KEYS[FIRST_ASK], ARGV[9], ARGV[10]

local told = told_before(delivery)
if told then return told end
local is = redis.call('HMGET', key, 'o', 's', 'b', 't', 'r', 'd', 'w', 'y')
if not is[1] then return pack('unknown') end
if is[2] then return closed_as(is[2], is[3], is[4], is[5]) end
if is[6] and tonumber(is[6]) <= NOW then return pack('expired', is[6]) end

local details = { 'ask', ask }
if ARGV[7] == '1' then
  -- Not kept for redeliveries: the caller looks again and may then succeed.
  if (is[7] or '') ~= before then return pack('stale') end
  local tenant, was, now = redis.call('HGET', META, 't'), {}, {}
  for _, name in ipairs(unpack_items(before)) do was[name] = true end
  for _, name in ipairs(unpack_items(after)) do now[name] = true end
  for _, member in ipairs(index_of(ask, tenant, is[7])) do redis.call('ZREM', OPEN, member) end
  for _, member in ipairs(index_of(ask, tenant, after)) do redis.call('ZADD', OPEN, 0, member) end
  redis.call('HSET', key, 'w', after)
  -- Whoever gives their place away takes their vote with them.
  local votes, kept = unpack_items(is[8] or ''), {}
  for i = 1, #votes, 2 do
    if now[votes[i]] or not was[votes[i]] then kept[#kept + 1] = pack(votes[i], votes[i + 1]) end
  end
  if #kept > 0 then redis.call('HSET', key, 'y', table.concat(kept)) else redis.call('HDEL', key, 'y') end
  owe_update(key, ask)
  details[3], details[4] = 'allowed', table.concat(unpack_items(after), ' ')
end
local shown = shown_by(ask, redis.call('HMGET', key, 'v', 'u'))
if ARGV[8] == '1' then redis.call('HSET', key, 'i', '1') end
for i = 11, #ARGV, 2 do owe(ARGV[i], ask, shown, ARGV[i + 1]) end
if ARGV[6] ~= '' then
  details[#details + 1] = 'note'
  details[#details + 1] = ARGV[6]
end
journal(what, actor, unpack(details))
local verdict = pack('accepted', actor, STAMP, what)
see(delivery, verdict)
return verdict
