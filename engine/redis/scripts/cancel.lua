-- Ask a run to stop and close its open asks. A parked one is given out again for it.
--   KEYS        see common.lua; from KEYS[17] its open asks
--   ARGV[2]     by   ARGV[3...]  the ids of those asks
--   returns     1; 0 if the run is over or unknown; -1 if it has other open asks by now
if not meta.s or OVER[meta.s] then return 0 end
if meta.z then return 1 end
local given = {}
for i = 3, #ARGV do given[ARGV[i]] = true end
for _, member in ipairs(open_asks()) do
  if not given[ask_of(member)] then return -1 end
end

redis.call('HSET', META, 'z', ARGV[2], 's', 'ready')
meta.s = 'ready'
push('cancelled', '', ARGV[2], '')
wake()
for i = 3, #ARGV do cancel_ask(KEYS[FIRST_ASK + i - 3], ARGV[i], ARGV[2]) end
keep_closed()
journal('cancelled', ARGV[2])
return 1
