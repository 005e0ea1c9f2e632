-- Add a line to a run's journal.
--   KEYS     see common.lua; no asks
--   ARGV[2]  what   ARGV[3]  by   ARGV[4...]  details: name, value
journal(ARGV[2], ARGV[3], unpack(ARGV, 4))
return 1
