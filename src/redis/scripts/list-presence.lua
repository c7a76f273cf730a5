#!lua flags=allow-key-locking,allow-oom
--[[
Takes out what was silent for too long, and lists who is there, by userId.

KEYS[1] … [5], ARGV[1] … [4] as shared/presence.lua says
ARGV[5] people at most; 0: none are listed
ARGV[6] userId behind which the list goes on, '' for its beginning

Replies {stays taken out, next, number of people who have left by their silence, their userIds, userId, its people's record, userId, …}.
next: the userId behind which the next page goes on, '' for none.
]]
-- include presence.lua
-- More than that wait for the next call, and are passed over in the list.
local swept = sweep(1000)
local reply = {swept, '', #silentPeople, unpack(silentPeople)}
local limit = tonumber(ARGV[5])
if limit == 0 then
  return reply
end
local found = redis.call('ZRANGEBYLEX', names, ARGV[6] == '' and '-' or '(' .. ARGV[6], '+', 'LIMIT', 0, limit + 1)
if #found > limit then
  found[#found] = nil
  reply[2] = found[#found]
end
for _, userId in ipairs(found) do
  local joined, seen, count = readPerson(userId)
  if joined and tonumber(seen) > now - ARGV[3] then
    reply[#reply + 1] = userId
    reply[#reply + 1] = joined .. ' ' .. seen .. ' ' .. print(count)
  end
end
return reply
