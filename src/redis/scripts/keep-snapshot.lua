#!lua flags=allow-key-locking
--[[
Makes a separately written snapshot the current one. It does nothing if there is a newer snapshot, or if the epoch has changed.

KEYS[1] meta, a hash, as append.lua writes it
KEYS[2] the separately written snapshot, a hash: seq, epoch, objects, parts, 0, 1, …
KEYS[3] snapshot, the same
KEYS[4] marks of the tenant, a hash, as mark-tenant.lua writes it
KEYS[5] the loading reader, a string

ARGV[1] incarnation
ARGV[2] token of the loading reader, '' for none
ARGV[3] seconds to keep it; '' to keep the remaining time of the snapshot that it replaces

Replies 1 if it is the current snapshot now, else 0.
]]
local meta, aside, snapshot, marks, loader = unpack(KEYS)
if ARGV[2] ~= '' and redis.call('GET', loader) == ARGV[2] then
  redis.call('DEL', loader)
end
local incarnation, deleted = unpack(redis.call('HMGET', meta, 'incarnation', 'deleted'))
local seq, epoch = unpack(redis.call('HMGET', aside, 'seq', 'epoch'))
local seqBefore, epochBefore = unpack(redis.call('HMGET', snapshot, 'seq', 'epoch'))
local ttlMs = ARGV[3] == '' and redis.call('PTTL', snapshot) or ARGV[3] * 1000
local epochNow = redis.call('HGET', marks, 'epoch') or '0'
if
  not seq or ttlMs <= 0 or incarnation ~= ARGV[1] or deleted or epoch ~= epochNow
  or (seqBefore and epochBefore == epochNow and tonumber(seqBefore) > tonumber(seq))
then
  redis.call('UNLINK', aside)
  return 0
end
redis.call('UNLINK', snapshot)
redis.call('RENAME', aside, snapshot)
redis.call('PEXPIRE', snapshot, string.format('%.0f', ttlMs))
return 1
