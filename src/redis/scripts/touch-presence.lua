#!lua flags=allow-key-locking,allow-oom
--[[
Notes that a person's session continues. A person who was absent has joined. Sessions that were silent for too long are removed. A full
memory must not make everybody leave, and a present session needs no more memory.

KEYS[1] … [5], ARGV[1] … [4] as shared/presence.lua says
ARGV[5] userId
ARGV[6] sessionId

Replies {1 if the person has joined by this, else 0, userId of a person who has left by their silence, userId, …}
]]
-- include presence.lua
-- At most so many on the way of one heartbeat.
sweep(100)

local userId = ARGV[5]
local stay = userId .. '!' .. ARGV[6]
if redis.call('ZSCORE', ended, ARGV[6]) then
  return {0, unpack(silentPeople)}
end
local isNew = redis.call('ZADD', stays, print(now), stay) == 1
local joined, _, count = readPerson(userId)
local hasJoined = not joined
if hasJoined then
  joined, count = print(now), 0
  redis.call('ZADD', names, 0, userId)
  publish('join', userId)
end
redis.call('HSET', people, userId, joined .. ' ' .. print(now) .. ' ' .. print(count + (isNew and 1 or 0)))
-- They expire together: a Redis before 7.2 reads the clock for each PEXPIRE.
local untilMs = print(now + tonumber(ARGV[4]))
for _, key in ipairs({stays, people, names}) do
  redis.call('PEXPIREAT', key, untilMs)
end
return {hasJoined and 1 or 0, unpack(silentPeople)}
