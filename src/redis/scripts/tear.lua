#!lua flags=allow-key-locking,allow-oom
--[[
Puts a break into a log that has lost entries, or may have: see shared/tear.lua. Doing it twice is harmless.

KEYS[1] meta, a hash, as append.lua writes it
KEYS[2] log of the incarnation, a stream, as append.lua writes it
KEYS[3] dirty, a sorted set
KEYS[4] snapshot, a hash
KEYS[5] metadata, a hash

ARGV[1] incarnation
ARGV[2] the space's member of dirty
ARGV[3] reason, and ARGV[4] its seq
  run     this run of Redis has not been compared with Postgres. The seq is the cursor, '' if Postgres has no such space.
  behind  the seq is the cursor of Postgres.
  lost    the seq was acknowledged.
  end     a drain found no entry behind the seq.
  told    a drain wrote an incident. ARGV[5] has the missing seqs: 'after to'.

Replies 1 if the log is broken by this, else 0.
]]
local function print(number)
  return string.format('%.0f', number)
end
-- include run.lua
-- include tear.lua

local metaKey, log, dirty, snapshot, metadata = unpack(KEYS)
local reason, seq = ARGV[3], tonumber(ARGV[4])
local incarnation, deleted, last, oldest, committed, torn, run = unpack(redis.call(
  'HMGET', metaKey, 'incarnation', 'deleted', 'last', 'oldest', 'committed', 'torn', 'run'
))
if not incarnation or deleted or incarnation ~= ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
last = tonumber(last)

local why, missing = reason, ''
if reason == 'run' then
  if findRun() == run then
    return 0
  end
  redis.call('HSET', metaKey, 'run', thisRun, 'runAt', print(now))
  -- Copies of a world in this Redis may be older than an erasure.
  redis.call('UNLINK', snapshot, metadata)
  if seq and seq > last then
    why = 'behind'
  else
    -- The drain that passes the last of the entries that waited writes the incident.
    if oldest ~= '' then
      redis.call('HSET', metaKey, 'restartedAt', print(last))
    end
    return 0
  end
elseif reason == 'told' then
  missing = ARGV[5]
elseif reason == 'end' then
  -- Committed entries may have been trimmed.
  local isWhole = seq >= last or seq < tonumber(committed) or last <= tonumber(torn or 0)
  if isWhole or #redis.call('XRANGE', log, '(' .. print(seq) .. '-0', '+', 'COUNT', 1) > 0 then
    return 0
  end
  why, missing = 'lost', print(seq) .. ' ' .. print(last)
elseif seq <= last then
  return 0
elseif reason == 'lost' then
  missing = print(last) .. ' ' .. print(seq)
end
torn = findBreak(last, seq or 0, now)
redis.call('HSET', metaKey, 'last', torn, 'torn', torn, 'why', why, 'missing', missing)
if oldest == '' then
  redis.call('HSET', metaKey, 'oldest', torn)
end
redis.call('ZADD', dirty, oldest == '' and torn or oldest, ARGV[2])
return 1
