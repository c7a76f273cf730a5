#!lua flags=allow-key-locking,allow-oom
--[[
Ends one stay of a person, or all that they have in the space; with the last of them they leave.

KEYS[1] … [5], ARGV[1] … [4] as shared/presence.lua says
ARGV[5] userId
ARGV[6] sessionId, '' for all of them

Replies 1 if the person has left by this, else 0.
]]
-- include presence.lua
local userId = ARGV[5]
local wasThere = redis.call('HEXISTS', people, userId) == 1

if ARGV[6] ~= '' then
  finish(userId .. '!' .. ARGV[6])
elseif wasThere then
  finishAll(userId)
end
redis.call('ZREMRANGEBYSCORE', ended, '-inf', print(now - ARGV[4]))
redis.call('PEXPIRE', ended, ARGV[4])
return wasThere and redis.call('HEXISTS', people, userId) == 0 and 1 or 0
