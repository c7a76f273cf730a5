#!lua flags=allow-key-locking,allow-oom
--[[
Reads a value and counts the hit or the miss where it is read, so that counting costs no command of its own. A full
memory must not hide what is there.

KEYS[1] the value
KEYS[2] the tenant's counts, a hash

Replies the value, or nil.
]]
local value = redis.call('GET', KEYS[1])
redis.pcall('HINCRBY', KEYS[2], value and 'hits' or 'misses', 1)
return value
