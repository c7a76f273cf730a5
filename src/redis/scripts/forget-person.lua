#!lua flags=allow-key-locking,allow-oom
--[[
Takes an erased person out of presence in a space, and out of the notes of operations without effect. It trims the committed part of the
log up to the newest entry that names them. Readers who are behind that begin again.

KEYS[1] … [5], ARGV[1] … [4] as shared/presence.lua says
KEYS[6] no-effects, a sorted set, as settle.lua writes it
KEYS[7] log of the incarnation, a stream, as append.lua writes it

ARGV[5] userId
ARGV[6] incarnation
ARGV[7] the newest seq that names the person, '' for none

Replies 0 if an entry that names the person is not committed yet, else 1.
]]
-- include presence.lua
local userId = ARGV[5]
if redis.call('HEXISTS', people, userId) == 1 then
  finishAll(userId)
  redis.call('PEXPIRE', ended, ARGV[4])
end
redis.call('HDEL', people, userId)
redis.call('ZREM', names, userId)
for _, note in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  if string.match(note, '^%d+ %d+ avatar %S+ (.+)$') == userId then
    redis.call('ZREM', KEYS[6], note)
  end
end

if ARGV[7] == '' then
  return 1
end
local incarnation, committed = unpack(redis.call('HMGET', metaKey, 'incarnation', 'committed'))
if incarnation ~= ARGV[6] then
  -- Another incarnation: the log of this one went with it.
  return 1
end
if tonumber(committed) < tonumber(ARGV[7]) then
  return 0
end
redis.call('XTRIM', KEYS[7], 'MINID', print(tonumber(ARGV[7]) + 1))
return 1
