#!lua flags=allow-key-locking,allow-oom
--[[
Tells the log of a space who may post messages, if Redis knows the space.

KEYS[1] meta, a hash, as append.lua writes it
ARGV[1] incarnation, '' for any
ARGV[2] the lowest role that may post messages, or off

Replies 1 if it is stored, else 0.
]]
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if not incarnation or (ARGV[1] ~= '' and incarnation ~= ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'chat', ARGV[2])
return 1
