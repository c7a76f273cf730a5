#!lua flags=allow-key-locking,allow-oom
--[[
Reads the oldest events that may not be in Postgres yet, and notes that the drain whose token it is runs.

KEYS[1] [2] meta and log, as append-events.lua writes them

ARGV[1] the drain's token, '' for a drain without a claim
ARGV[2] [3] bytes and events after which to stop; one entry is read at least

Replies {'read', name, settled, seq, tenant, events, seq, tenant, events, …}, or
  {'empty'}      nothing is pending
  {'relieved'}   another drain has taken over
]]
-- include counts.lua

local name, settled, token = unpack(redis.call('HMGET', KEYS[1], 'name', 'settled', 'token'))
if ARGV[1] ~= '' then
  if ARGV[1] ~= token then
    return {'relieved'}
  end
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'due', print(time[1] * 1000000 + time[2]))
end
if not name then
  return {'empty'}
end

local bytesLeft, eventsLeft = tonumber(ARGV[2]), tonumber(ARGV[3])
local reply, after = {'read', name, settled}, '-'
while true do
  local entries = redis.call('XRANGE', KEYS[2], after, '+', 'COUNT', 10)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    bytesLeft, eventsLeft = bytesLeft - fields[6], eventsLeft - fields[4]
    if #reply > 3 and (bytesLeft < 0 or eventsLeft < 0) then
      return reply
    end
    reply[#reply + 1] = string.sub(entry[1], 1, -3)
    reply[#reply + 1] = fields[2]
    reply[#reply + 1] = fields[8]
  end
  if #entries < 10 then
    return #reply > 3 and reply or {'empty'}
  end
  after = '(' .. entries[10][1]
end
