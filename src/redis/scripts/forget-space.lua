#!lua flags=allow-key-locking,allow-oom
--[[
A deleted space is removed for good: this deletes its keys. Keys of answers and budgets expire by themselves before that. If Redis
has another incarnation of the space, or none, only the keys of the old one go. The others expire by themselves.

KEYS[1] meta, a hash
KEYS[2] dirty, a sorted set
KEYS[3] and the following keys, as many as ARGV[3]: keys of the incarnation
the other keys: of the space in all incarnations

ARGV[1] incarnation
ARGV[2] the space's member of dirty
ARGV[3] how many keys of the incarnation there are
ARGV[4] channel of the incarnation

Replies 1 if the log was the one of this incarnation, else 0.
]]
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
local own = tonumber(ARGV[3])
for i = 3, 2 + own do
  redis.call('UNLINK', KEYS[i])
end
redis.call('PUBLISH', ARGV[4], '{"retired":true}')
if incarnation ~= ARGV[1] then
  return 0
end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('UNLINK', KEYS[1])
for i = 3 + own, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
