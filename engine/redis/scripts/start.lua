-- Create a run and make it ready, unless it exists; with a worker, claim it.
--   KEYS     see common.lua; no asks; KEYS[17] the index of its requester's runs
--   ARGV[1]  run id        ARGV[4]  start event    ARGV[7]  address
--   ARGV[2]  workflow      ARGV[5]  tenant         ARGV[8]  worker, or ""
--   ARGV[3]  its revision  ARGV[6]  requester      ARGV[9]  lease in seconds   ARGV[10] fence of the first claim
--   returns  {1 if created, claim or nil}; the claim on a new run is {0, 0, now, until}
local worker = ARGV[8]
if meta.s then
  if worker == '' or OVER[meta.s] or is_held() or not has_work() or is_left(worker) then return { 0 } end
  return { 0, take(worker, tonumber(ARGV[9])) }
end

local till = STAMP
local fence = worker == '' and 0 or ARGV[10]
redis.call('HSET', META, 's', 'ready', 'v', 0, unpack(new_run(fence, ARGV[2], ARGV[3], ARGV[5], ARGV[6], ARGV[7])))
if worker ~= '' then
  till = string.format('%.6f', NOW + tonumber(ARGV[9]))
  redis.call('HSET', META, 'n', 1, 'l', till, 'o', worker)
end
redis.call('RPUSH', INBOX, pack('sent', STAMP, '', '', ARGV[4]))
redis.call('RPUSH', JOURNAL, pack(STAMP, 'started', ARGV[6], 'workflow', ARGV[2]))
redis.call('ZADD', READY, till, RUN)
redis.call('ZADD', LIVE, STAMP, RUN)
file_under(KEYS[FIRST_ASK], ARGV[6])
if worker == '' then return { 1 } end
return { 1, { 0, 0, STAMP, till } }
