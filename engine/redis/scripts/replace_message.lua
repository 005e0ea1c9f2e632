-- Record that what one message showed is shown by another.
--   KEYS     see common.lua; KEYS[17] the ask it shows
--   ARGV[2]  the reference of the message that is gone   ARGV[3]  that of the other
local key, messages, found = KEYS[FIRST_ASK], {}, false
for _, message in ipairs(unpack_items(redis.call('HGET', key, 'm') or '')) do
  found = found or message == ARGV[2]
  messages[#messages + 1] = pack(message == ARGV[2] and ARGV[3] or message)
end
if not found then return 0 end
redis.call('HSET', key, 'm', table.concat(messages))
if meta.h == ARGV[2] then redis.call('HSET', META, 'h', ARGV[3]) end
journal('shown again', '', 'gone', ARGV[2], 'ref', ARGV[3])
return 1
