#!lua flags=allow-key-locking,allow-oom
--[[
Reads the same fields of the meta of many spaces. It writes nothing.

KEYS the metas, hashes

ARGV the fields

Replies the list of values of each.
]]
local reply = {}
for i, key in ipairs(KEYS) do
  reply[i] = redis.call('HMGET', key, unpack(ARGV))
end
return reply
