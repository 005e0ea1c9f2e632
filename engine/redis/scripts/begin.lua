-- Create a run as its first transition leaves it: this, and then commit.lua.
--   KEYS        as commit.lua has them, and last the index of its requester's runs
--   ARGV        as commit.lua has them, and last what the clock says, workflow, its revision, tenant, requester,
--               address, worker, lease in seconds
--   returns     what commit.lua does; "fenced" if the run exists; nil if the clock says something else
do
  local now, workflow, graph, tenant, requester, address, worker, lease_s = unpack(ARGV, #ARGV - 7)
  if meta.s then return 'fenced' end
  if math.abs(NOW - tonumber(now)) > $CLOCK_TOLERANCE_S then return false end

  begun = new_run(ARGV[2], workflow, graph, tenant, requester, address)
  meta = { s = 'ready', v = '0', f = ARGV[2], c = STAMP, t = tenant, o = worker }
  meta.l = string.format('%.6f', NOW + tonumber(lease_s))
  redis.call('RPUSH', JOURNAL, pack(STAMP, 'started', requester, 'workflow', workflow))
  redis.call('ZADD', LIVE, STAMP, RUN)
  file_under(table.remove(KEYS), requester) -- commit.lua takes what is left for asks
end

