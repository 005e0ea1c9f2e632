-- Create a run and make it ready, unless it exists; with a worker, claim it.
--   KEYS     see common.lua; no asks; KEYS[17] the index of its requester's runs
--   ARGV[1]  run id        ARGV[4]  start event    ARGV[7]  address
--   ARGV[2]  workflow      ARGV[5]  tenant         ARGV[8]  worker, or ""
--   ARGV[3]  its revision  ARGV[6]  requester      ARGV[9]  lease in seconds
--   returns  {1 if created, claim or nil}; the claim on a new run is {0, 0, now, until}
local worker = ARGV[8]
local meta = redis.call('HMGET', META, 's', 'l', 'k', 'i')
if meta[1] then
  if worker == '' or OVER[meta[1]] or (meta[2] and tonumber(meta[2]) > NOW) or not has_work(meta) then return { 0 } end
  if is_left(meta[4], worker) then return { 0 } end
  return { 0, take(worker, tonumber(ARGV[9])) }
end

local fields = { 's', 'ready', 'v', 0, 'f', 0, 'c', STAMP, 'w', ARGV[2], 'g', ARGV[3] }
local optional = { t = ARGV[5], u = ARGV[6], a = ARGV[7] }
for name, value in pairs(optional) do
  if value ~= '' then
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
end
local till = STAMP
if worker ~= '' then
  till = string.format('%.6f', NOW + tonumber(ARGV[9]))
  fields[6] = 1
  for _, item in ipairs({ 'n', 1, 'l', till, 'o', worker }) do fields[#fields + 1] = item end
end
redis.call('HSET', META, unpack(fields))
redis.call('RPUSH', INBOX, pack('sent', STAMP, '', '', ARGV[4]))
redis.call('RPUSH', JOURNAL, pack(STAMP, 'started', ARGV[6], 'workflow', ARGV[2]))
redis.call('ZADD', READY, till, RUN)
redis.call('ZADD', LIVE, STAMP, RUN)
file_under(KEYS[FIRST_ASK], ARGV[6])
if worker == '' then return { 1 } end
return { 1, { 0, 0, STAMP, till } }
