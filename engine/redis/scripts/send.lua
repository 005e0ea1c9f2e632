-- Put an event into a run's inbox, once per delivery.
--   KEYS     see common.lua; no asks
--   ARGV[2]  delivery id   ARGV[3]  event
--   returns  1, or 0 if the run is over or unknown
if not meta.s or OVER[meta.s] then return 0 end
if told_before('s' .. ARGV[2]) then return 1 end

push('sent', '', '', ARGV[3])
wake()
see('s' .. ARGV[2], '1')
journal('sent', '')
return 1
