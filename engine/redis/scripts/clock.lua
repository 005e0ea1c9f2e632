-- Put before every script: what time it is.
--   KEYS[1]  skew    seconds to add; exists in tests only
local time = redis.call('TIME')
local STAMP = string.format('%.6f', time[1] + time[2] / 1000000 + (redis.call('GET', KEYS[1]) or 0))
local NOW = tonumber(STAMP)
