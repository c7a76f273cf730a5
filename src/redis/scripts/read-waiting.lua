#!lua flags=allow-key-locking,allow-oom
--[[
Reads which spaces of the deployment have a backlog, and how many streams are open. It writes nothing.

KEYS[1] the open streams of the deployment, a sorted set
KEYS[2] … all shards of dirty, sorted sets

ARGV[1] spaces of each shard

Replies Redis's time in microseconds, the number of open streams, and the number of spaces with a backlog. Behind them are the spaces
that wait longest in each shard: member, score, again and again.
]]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local reply = {now, redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf'), 0}
for i = 2, #KEYS do
  reply[3] = reply[3] + redis.call('ZCARD', KEYS[i])
  for _, text in ipairs(redis.call('ZRANGE', KEYS[i], 0, ARGV[1] - 1, 'WITHSCORES')) do
    reply[#reply + 1] = text
  end
end
return reply
