#!lua flags=allow-key-locking,allow-oom
--[[
Reads entries of a log for a follower. It takes no claim and changes nothing.

KEYS[1] meta, a hash, as append.lua writes it
KEYS[2] log of the incarnation, a stream, as append.lua writes it

ARGV[1] incarnation
ARGV[2] seq behind which to read, '' for nothing but where the log ends
ARGV[3] bytes of operations after which to stop; one entry is read at least
ARGV[4] entries after which to stop
ARGV[5] 1 where the log cannot be compared with Postgres now, else 0

Replies
  {'read', last, committed, head, ops, head, ops, …}  head: 'seq prev count waits actor': see shared/entries.lua
  {'cold'}                                             nothing is known of the space
  {'deleted', incarnation}
  {'moved', incarnation}                               the space has another incarnation
  {'unverified'}                                       the log is to be compared with Postgres: see tear.lua
]]
-- include run.lua
-- include entries.lua

local incarnation, deleted, last, committed, run, runAt = unpack(redis.call(
  'HMGET', KEYS[1], 'incarnation', 'deleted', 'last', 'committed', 'run', 'runAt'
))
if not incarnation then
  return {'cold'}
end
if deleted then
  return {'deleted', incarnation}
end
if incarnation ~= ARGV[1] then
  return {'moved', incarnation}
end
local time = redis.call('TIME')
if ARGV[5] ~= '1' and isOfOtherRun(run, runAt, time[1] * 1000000 + time[2]) then
  return {'unverified'}
end

local reply = {'read', last, committed}
if ARGV[2] ~= '' then
  addEntries(reply, KEYS[2], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
end
return reply
