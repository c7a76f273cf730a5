#!lua flags=allow-key-locking,allow-oom
--[[
Names this life of Redis, where it has no name yet. It goes with everything else when Redis loses its memory.

KEYS[1] the name
ARGV[1] a name that no other life has

Replies the name.
]]
local name = redis.call('GET', KEYS[1])
if name then
  return name
end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
