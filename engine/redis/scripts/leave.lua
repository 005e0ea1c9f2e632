-- Give a run back for other workers to take; it is as it was before it was claimed.
--   KEYS     see common.lua; no asks
--   ARGV[2]  fence   ARGV[3]  seconds that it is left to others, from the first time on   ARGV[4]  note
--   returns  1; 0 if that time is over, and nothing has changed; -1 if somebody else has the run
if not holds(ARGV[2]) then return -1 end
if not leave(meta.o, pack(meta.o), tonumber(ARGV[3]), 'note', ARGV[4]) then return 0 end

give_back()
return 1
