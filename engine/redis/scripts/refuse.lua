-- Write down that an answer was refused, since whoever gave it may not answer.
--   KEYS     see common.lua; KEYS[17] the ask
--   ARGV[2]  ask id        ARGV[4]  actor      ARGV[6]  why                       ARGV[8...]  who may
--   ARGV[3]  delivery id   ARGV[5]  response   ARGV[7]  which way it came, or ""
--   returns  the verdict: its name and fields
local ask, delivery, actor = ARGV[2], 'd' .. ARGV[3], ARGV[4]
local key = KEYS[FIRST_ASK]

local told = told_before(delivery)
if told then return told end
local is = fields_of(key, 'o', 'v', 'h', 'n')
if not is.o then return pack('unknown') end

local verdict = pack('not_allowed', unpack(ARGV, 8))
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
return verdict
