#!lua flags=allow-key-locking,allow-oom
--[[
Finds the spaces of a tenant with pending entries, and its spaces with the newest committed entries. It writes nothing.

KEYS[1] the tenant's newest spaces, a sorted set, as settle.lua writes it
KEYS[2] the open streams of the deployment, a sorted set
KEYS[3] … all shards of dirty, sorted sets

ARGV[1] the beginning of the tenant's members: 'tenant!'
ARGV[2] members of each shard that are searched: the longest waiting ones

Replies {open streams of the deployment, its spaces with pending entries, number of newest, the newest spaces, …, pending space, its
oldest seq, …}. Spaces are members of dirty.
]]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local newest = redis.call('ZREVRANGE', KEYS[1], 0, -1)
local reply = {redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf'), 0, #newest, unpack(newest)}
local prefix, length = ARGV[1], #ARGV[1]
for i = 3, #KEYS do
  reply[2] = reply[2] + redis.call('ZCARD', KEYS[i])
  local waiting = redis.call('ZRANGE', KEYS[i], 0, ARGV[2] - 1, 'WITHSCORES')
  for j = 1, #waiting, 2 do
    if string.sub(waiting[j], 1, length) == prefix then
      reply[#reply + 1] = waiting[j]
      reply[#reply + 1] = waiting[j + 1]
    end
  end
end
return reply
