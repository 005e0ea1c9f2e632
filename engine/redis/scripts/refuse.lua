-- Write down that an answer was refused, since whoever gave it may not answer, or since it came too late.
--   KEYS     see common.lua; KEYS[17] the ask
--   ARGV[2]  ask id        ARGV[4]  actor      ARGV[6]  why ("late")              ARGV[8...]  who may
--   ARGV[3]  delivery id   ARGV[5]  response   ARGV[7]  which way it came, or ""
--   returns  the verdict: its name and fields
local ask, actor, late = ARGV[2], ARGV[4], ARGV[6] == 'late'
local key = KEYS[FIRST_ASK]
-- What a late answer is told follows from the ask, whoever asks: here is only kept that it was written down.
local delivery = (late and 'l' or 'd') .. ARGV[3]

local told = told_before(delivery)
if told then return told end
local is = fields_of(key, 'o', 's', 'b', 't', 'r', 'd', 'v', 'h', 'n')
if not is.o then return pack('unknown') end

local verdict
if not late then
  local allowed = {}
  for i = 8, #ARGV do allowed[#allowed + 1] = ARGV[i] end
  verdict = pack('not_allowed') .. pack_all(allowed)
else
  verdict = is.s and closed_as(is) or pack('expired', is.d or STAMP)
end
local tried, own = unpack_items(is.n or ''), 0
for i = 1, #tried do
  if tried[i] == actor then own = own + 1 end
end
-- Neither one person's thousand clicks nor a thousand people's push anything else out of the journal.
if own >= $TRIES_KEPT or #tried >= $REFUSALS_KEPT then return verdict end
redis.call('HSET', key, 'n', (is.n or '') .. pack(actor))
journal('refused', actor, 'ask', ask, 'response', ARGV[5], 'revision', is.v or '1', 'digest', is.h or '', 'why',
  ARGV[6], unpack(append({}, { via = ARGV[7] })))
see(delivery, verdict)
if OVER[meta.s] then redis.call('PEXPIRE', SEEN, redis.call('PTTL', META)) end -- nobody may have answered it before
return verdict
