#!lua flags=allow-key-locking,allow-oom
--[[
Replaces the text of cached metadata by a more complete one, unless other metadata is cached now. Its age stays.

KEYS[1] metadata, a hash, as read-state.lua reads it
ARGV[1] [2] the id of the metadata that is completed, and the new id
ARGV[3] text

Replies 1 if it is stored, else 0.
]]
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'id', ARGV[2], 'text', ARGV[3])
return 1
