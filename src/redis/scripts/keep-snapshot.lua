#!lua flags=allow-key-locking
--[[
Makes a snapshot that was written aside the space's, unless there is a newer one or it has been overtaken by what it may not
show any more.

KEYS[1] meta, a hash, as append.lua writes it
KEYS[2] the snapshot as it was written aside, a hash: seq, epoch, objects, parts, 0, 1, …
KEYS[3] snapshot, the same
KEYS[4] marks of the tenant, a hash, as mark-tenant.lua writes it
KEYS[5] who loads what is missing, a string

ARGV[1] incarnation
ARGV[2] token of who was to load it, '' for nobody
ARGV[3] seconds for which it is kept; '' where it takes the place of one that is there, for as long as that was to be kept

Replies 1 if it is the space's now, else 0.
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
