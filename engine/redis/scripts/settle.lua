-- Record that a doubtful effect was looked at.
--   KEYS     see common.lua; no asks
--   ARGV[2]  effect   ARGV[3]  the reference that stands
if redis.call('ZREM', VERIFY, in_doubt(ARGV[2], ARGV[3])) == 1 then
  journal('settled', '', 'effect', ARGV[2], 'ref', ARGV[3])
end
return 1
