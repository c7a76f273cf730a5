#!lua flags=allow-key-locking,allow-oom
--[[
Reads entries of a log for a drain, and notes that the drain whose token it is runs.

KEYS[1] meta, a hash, as append.lua writes it
KEYS[2] log of the incarnation, a stream, as append.lua writes it

ARGV[1] incarnation
ARGV[2] the drain's token, '' for a drain without a claim
ARGV[3] seq behind which to read, '' for the committed seq
ARGV[4] bytes of operations after which to stop; one entry is read at least
ARGV[5] entries after which to stop
ARGV[6] 1 where the log cannot be compared with Postgres now, else 0

Replies
  {'read', after, last, torn, why, missing, restartedAt, head, ops, …}
                                                             head: see shared/entries.lua, with the request; torn … restartedAt as in meta, 0 and '' for none
  {'cold'}                                                   nothing is known of the space
  {'deleted', incarnation}
  {'moved', incarnation}                                     the space has another incarnation: nothing was done
  {'unverified'}                                             the log is to be compared with Postgres: see tear.lua
  {'relieved'}                                               another drain has taken over
]]
-- include run.lua
-- include entries.lua

local meta = redis.call(
  'HMGET', KEYS[1], 'incarnation', 'deleted', 'last', 'committed', 'token', 'torn', 'why', 'missing', 'restartedAt', 'run',
  'runAt'
)
local incarnation, deleted, last, committed, token, torn, why, missing, restartedAt, run, runAt = unpack(meta)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if not incarnation then
  return {'cold'}
end
if deleted then
  return {'deleted', incarnation}
end
if incarnation ~= ARGV[1] then
  return {'moved', incarnation}
end
if ARGV[6] ~= '1' and isOfOtherRun(run, runAt, now) then
  return {'unverified'}
end
if ARGV[2] ~= '' then
  if ARGV[2] ~= token then
    return {'relieved'}
  end
  redis.call('HSET', KEYS[1], 'due', string.format('%.0f', now))
end

local after = ARGV[3] == '' and committed or ARGV[3]
local reply = {'read', after, last, torn or '0', why or '', missing or '', restartedAt or '0'}
addEntries(reply, KEYS[2], after, tonumber(ARGV[4]), tonumber(ARGV[5]), true)
return reply
