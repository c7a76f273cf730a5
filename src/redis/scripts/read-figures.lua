#!lua flags=allow-key-locking,allow-oom
--[[
Reads the figures of a tenant and of its spaces, all at one moment. It writes nothing.

KEYS[1] the tenant's counts of drained operations, a hash
KEYS[2] the tenant's open streams, a sorted set
KEYS[3] the counts of the deployment, a hash
KEYS[4] … of each space with details: meta (a hash), open streams (a sorted set), stays of presence (a sorted set);
then the metas of other spaces

ARGV[1] number of spaces with details
ARGV[2] milliseconds of silence after which a stay is over
ARGV[3] … fields of KEYS[3]

Replies {time in microseconds, drained operations, operations without effect, open streams, values, space, space, …}. values: of the
fields. A space is {incarnation, counts, settled, oldest, last, deleted, open streams, present sessions}. The last two are 0 without
details.
]]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local silent = string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[2])
local function countStreams(key)
  return redis.call('ZCOUNT', key, '(' .. now, '+inf')
end

local drained = redis.call('HMGET', KEYS[1], 'processed', 'noEffect')
local reply = {now, drained[1], drained[2], countStreams(KEYS[2]), #ARGV > 2 and redis.call('HMGET', KEYS[3], unpack(ARGV, 3)) or {}}
local details = 3 * ARGV[1]
local i = 4
while i <= #KEYS do
  local space = redis.call('HMGET', KEYS[i], 'incarnation', 'counts', 'settled', 'oldest', 'last', 'deleted')
  local isDetailed = i < 4 + details
  space[7] = isDetailed and countStreams(KEYS[i + 1]) or 0
  space[8] = isDetailed and redis.call('ZCOUNT', KEYS[i + 2], silent, '+inf') or 0
  reply[#reply + 1] = space
  i = i + (isDetailed and 3 or 1)
end
return reply
