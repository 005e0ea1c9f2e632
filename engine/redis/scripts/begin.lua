-- Create a run as its first transition leaves it: this, and then commit.lua.
--   KEYS        as commit.lua has them, and last the index of its requester's runs
--   ARGV        as commit.lua has them, and last what the clock says, workflow, its revision, tenant, requester,
--               address, worker, lease in seconds
--   returns     what commit.lua does; "fenced" if the run exists; nil if the clock says something else
do
  local now, workflow, graph, tenant, requester, address, worker, lease_s = unpack(ARGV, #ARGV - 7)
  if redis.call('EXISTS', META) == 1 then return 'fenced' end
  if math.abs(NOW - tonumber(now)) > $CLOCK_TOLERANCE_S then return false end

  local till = string.format('%.6f', NOW + tonumber(lease_s))
  local fields = { 's', 'ready', 'v', 0, 'f', 1, 'c', STAMP, 'w', workflow, 'g', graph, 'l', till, 'o', worker }
  for name, value in pairs({ t = tenant, u = requester, a = address }) do
    if value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  redis.call('HSET', META, unpack(fields))
  redis.call('RPUSH', JOURNAL, pack(STAMP, 'started', requester, 'workflow', workflow))
  if ARGV[7] ~= '1' then redis.call('ZADD', READY, till, RUN) end
  redis.call('ZADD', LIVE, STAMP, RUN)
  file_under(table.remove(KEYS), requester) -- commit.lua takes what is left for asks
end

