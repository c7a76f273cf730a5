#!lua flags=allow-key-locking,allow-oom
--[[
Ends one stay of a person, or all that they have in the space; with the last of them they leave.

KEYS[1] … [4], ARGV[1] … [3] as shared/presence.lua says
ARGV[4] userId
ARGV[5] sessionId, '' for all of them

Replies 1 if the person has left by this, else 0.
]]
-- include presence.lua
local userId = ARGV[4]
local wasThere = redis.call('HEXISTS', people, userId) == 1
if ARGV[5] ~= '' then
  remove(userId .. '!' .. ARGV[5], 'leave')
elseif wasThere then
  -- All of the space's are looked through: it is for who is erased, which is rare.
  local prefix = userId .. '!'
  for _, member in ipairs(redis.call('ZRANGE', stays, 0, -1)) do
    if string.sub(member, 1, #prefix) == prefix then
      remove(member, 'leave')
    end
  end
end
return wasThere and redis.call('HEXISTS', people, userId) == 0 and 1 or 0
