-- Put an event into a run's inbox, once per delivery.
--   KEYS     see common.lua; no asks
--   ARGV[2]  delivery id   ARGV[3]  event
--   returns  1, or 0 if the run is over or unknown
local meta = redis.call('HMGET', META, 's', 'l')
if not meta[1] or OVER[meta[1]] then return 0 end
if told_before('s' .. ARGV[2]) then return 1 end

push(meta[1], meta[2], 'sent', '', '', ARGV[3])
see('s' .. ARGV[2], '1')
journal('sent', '')
return 1
