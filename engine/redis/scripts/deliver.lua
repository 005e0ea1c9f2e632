-- Judge and record an answer.
--   KEYS     see common.lua; KEYS[17] the ask
--   ARGV[2]  ask id        ARGV[4]  actor      ARGV[6]  answer                ARGV[8]  "1" if it decides
--   ARGV[3]  delivery id   ARGV[5]  response   ARGV[7]  revision, "" for any           at once
--   ARGV[9]  which way it came, or ""   ARGV[10]  "1" if nobody has looked at the question,
--            or, packed, what is known of it then: tenant, digest, message; or, packed, who may answer as far as
--            whoever has looked at it knows
--   ARGV[11] digest of what it approves in place of what was shown, or ""
--   ARGV[12] worker to give the run to if the answer decides and nobody holds it, or ""
--   ARGV[13] lease in seconds   ARGV[14...]  workflows the worker knows; none: any
--   returns  the verdict: its name and fields; with a claim, both
local ask, delivery, actor, response = ARGV[2], 'd' .. ARGV[3], ARGV[4], ARGV[5]
local key = KEYS[FIRST_ASK]

local told = told_before(delivery)
if told then return told end
local is = fields_of(key, 'o', 's', 'v', 'q', 'd', 'y', 'h', 'w', 'p', 'c', 'u', 'l')
if not is.o or not meta.s then return pack('unknown') end
-- A run that is over has no open ask: the script that ended it closed them.
if is.s then return closed_as(fields_of(key, 's', 'b', 't', 'r')) end

local function has(list, item)
  for _, one in ipairs(unpack_items(list)) do
    if one == item then return true end
  end
  return false
end

local function is_shown(tenant, digest, message)
  local stands = redis.call('HMGET', key, 'k', 'm')
  return stands[1] and has(stands[1], response) and not is.q and tenant == (meta.t or '') and digest == (is.h or '')
    and ARGV[7] == (is.v or '1') and (message == '' or not stands[2] or has(stands[2], message))
end

local function takes()
  local known = ARGV[10] ~= '1' and unpack_items(ARGV[10])
  if known and #known == 1 then return known[1] == (is.w or '') end
  if (is.p and actor == meta.u) or (is.w and not has(is.w, actor)) then return false end
  if known then return is_shown(unpack(known)) end
  return is.c and (is.c == '*' or has(is.c, response))
end
if ARGV[10] ~= '' and not takes() then return pack('not_judged') end

local function tell(...)
  local verdict = pack(...)
  see(delivery, verdict)
  return verdict
end

-- Past its deadline an ask takes no answer, but closing it is left to the timer.
if is.d and tonumber(is.d) <= NOW then return tell('expired', is.d) end
if ARGV[7] ~= '' and ARGV[7] ~= (is.v or '1') then return tell('stale') end

local function write_down(what, ...)
  local details = append({ ... }, { via = ARGV[9], approves = ARGV[11] })
  journal(what, actor, 'ask', ask, 'response', response, 'revision', is.v or '1', 'digest', is.h or '', unpack(details))
end

local quorum, count = tonumber(is.q or 1), 1
local votes, changed = {}, true
if quorum > 1 then
  local before = unpack_items(is.y or '')
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
    redis.call('HSET', key, 'y', pack_all(votes))
    write_down('voted', 'count', count, 'quorum', quorum)
    owe_update(key, ask)
  end
  return tell('recorded', count, quorum)
end

if quorum > 1 then redis.call('HSET', key, 'y', pack_all(votes)) end
push('answered', ask, actor, ARGV[6])
close_ask(key, ask, is, 'answered', actor, STAMP, response, ARGV[6])
keep_closed()
write_down('answered')
local verdict = tell('accepted', actor, STAMP, response)
if ARGV[12] == '' or meta.s == 'parked' or is_held() or not knows(14) then
  wake()
  return verdict
end
if is_left(ARGV[12]) then return verdict end
return { verdict, take(ARGV[12], tonumber(ARGV[13])) }
