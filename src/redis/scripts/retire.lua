#!lua flags=allow-key-locking,allow-oom
--[[
A space was deleted: this deletes its log and tells followers. For a while, appends to it are answered `deleted`. Another incarnation
stays as it is.

KEYS[1] meta, a hash
KEYS[2] log of the incarnation, a stream
KEYS[3] dirty, a sorted set

ARGV[1] incarnation
ARGV[2] the space's member of dirty
ARGV[3] seconds for which the deletion is remembered
ARGV[4] channel of the incarnation

Replies 1 if the space is marked as deleted, 0 if meta is of another incarnation.
]]
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
redis.call('UNLINK', KEYS[2])
redis.call('PUBLISH', ARGV[4], '{"retired":true}')
if incarnation and incarnation ~= ARGV[1] then
  return 0
end
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('HSET', KEYS[1], 'incarnation', ARGV[1], 'deleted', '1')
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
