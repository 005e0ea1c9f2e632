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
local is = fields_of(key, 'o', 's', 'b', 't', 'r', 'd', 'w', 'y')
if not is.o then return pack('unknown') end
if is.s then return closed_as(is) end
if is.d and tonumber(is.d) <= NOW then return pack('expired', is.d) end

local details = { 'ask', ask }
if ARGV[7] == '1' then
  -- Not kept for redeliveries: the caller looks again and may then succeed.
  if (is.w or '') ~= before then return pack('stale') end
  local was, now = {}, {}
  for _, name in ipairs(unpack_items(before)) do was[name] = true end
  for _, name in ipairs(unpack_items(after)) do now[name] = true end
  take_from_index(ask, is.w)
  put_in_index(ask, after)
  redis.call('HSET', key, 'w', after)
  -- Whoever gives their place away takes their vote with them.
  local votes, kept = unpack_items(is.y or ''), {}
  for i = 1, #votes, 2 do
    if now[votes[i]] or not was[votes[i]] then kept[#kept + 1] = pack(votes[i], votes[i + 1]) end
  end
  if #kept > 0 then redis.call('HSET', key, 'y', table.concat(kept)) else redis.call('HDEL', key, 'y') end
  owe_update(key, ask)
  details[3], details[4] = 'allowed', table.concat(unpack_items(after), ' ')
end
local shown = shown_by(ask, fields_of(key, 'v', 'u'))
if ARGV[8] == '1' then redis.call('HSET', key, 'i', '1') end
for i = 11, #ARGV, 2 do owe(ARGV[i], ask, shown, ARGV[i + 1]) end
journal(what, actor, unpack(append(details, { note = ARGV[6] })))
local verdict = pack('accepted', actor, STAMP, what)
see(delivery, verdict)
return verdict
