-- Judge and record an answer.
--   KEYS     see common.lua; KEYS[17] the ask
--   ARGV[2]  ask id        ARGV[4]  actor      ARGV[6]  answer                ARGV[8]  "1" if it decides
--   ARGV[3]  delivery id   ARGV[5]  response   ARGV[7]  revision, "" for any           at once
--   ARGV[9]  which way it came, or ""   ARGV[10]  "1" if nobody has looked at the question
--   ARGV[11] digest of what it approves in place of what was shown, or ""
--   ARGV[12] worker to give the run to if the answer decides and nobody holds it, or ""
--   ARGV[13] lease in seconds   ARGV[14...]  workflows the worker knows; none: any
--   returns  the verdict: its name and fields; with a claim, both
local ask, delivery, actor, response = ARGV[2], 'd' .. ARGV[3], ARGV[4], ARGV[5]
local key = KEYS[FIRST_ASK]

local told = told_before(delivery)
if told then return told end
local is = redis.call('HMGET', key, 'o', 's', 'v', 'q', 'd', 'b', 't', 'r', 'y', 'h', 'w', 'p', 'c')
local meta = redis.call('HMGET', META, 's', 'l', 'w', 'i', 'u')
if not is[1] or not meta[1] then return pack('unknown') end
-- A run that is over has no open ask: the script that ended it closed them.
if is[2] then return closed_as(is[2], is[6], is[7], is[8]) end

local function has(list, item)
  for _, one in ipairs(unpack_items(list)) do
    if one == item then return true end
  end
  return false
end

local function takes()
  if (is[12] and actor == meta[5]) or (is[11] and not has(is[11], actor)) then return false end
  return is[13] and (is[13] == '*' or has(is[13], response))
end
if ARGV[10] == '1' and not takes() then return pack('not_judged') end

local function tell(...)
  see(delivery, pack(...))
  return pack(...)
end

-- Past its deadline an ask takes no answer, but closing it is left to the timer.
if is[5] and tonumber(is[5]) <= NOW then return tell('expired', is[5]) end
if ARGV[7] ~= '' and ARGV[7] ~= (is[3] or '1') then return tell('stale') end

local function write_down(what, ...)
  local details = { 'ask', ask, 'response', response, 'revision', is[3] or '1', 'digest', is[10] or '' }
  local function add(...)
    for _, item in ipairs({ ... }) do details[#details + 1] = item end
  end
  if ARGV[9] ~= '' then add('via', ARGV[9]) end
  if ARGV[11] ~= '' then add('approves', ARGV[11]) end
  add(...)
  journal(what, actor, unpack(details))
end

local quorum, count = tonumber(is[4] or 1), 1
local votes, changed = {}, true
if quorum > 1 then
  local before = unpack_items(is[9] or '')
  for i = 1, #before, 2 do
    if before[i] ~= actor then
      votes[#votes + 1] = before[i]
      votes[#votes + 1] = before[i + 1]
      if before[i + 1] == response then count = count + 1 end
    elseif before[i + 1] == response then
      changed = false
    end
  end
  votes[#votes + 1] = actor
  votes[#votes + 1] = response
end

if count < quorum and ARGV[8] ~= '1' then
  if changed then
    redis.call('HSET', key, 'y', pack(unpack(votes)))
    write_down('voted', 'count', count, 'quorum', quorum)
    owe_update(key, ask)
  end
  return tell('recorded', count, quorum)
end

if quorum > 1 then redis.call('HSET', key, 'y', pack(unpack(votes))) end
push(meta[1], meta[2], 'answered', ask, actor, ARGV[6])
close_ask(key, ask, 'answered', actor, STAMP, response, ARGV[6])
write_down('answered')
local verdict = tell('accepted', actor, STAMP, response)
if ARGV[12] ~= '' and meta[1] ~= 'parked' and not (meta[2] and tonumber(meta[2]) > NOW) and knows(14, meta[3])
  and not is_left(meta[4], ARGV[12]) then
  return { verdict, take(ARGV[12], tonumber(ARGV[13])) }
end
return verdict
