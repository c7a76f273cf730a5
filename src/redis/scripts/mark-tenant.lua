#!lua flags=allow-key-locking,allow-oom
--[[
Marks the begin or the end of a write to data that states show and no log holds. Older cached metadata is not shown any more.
It is called before and after the write. If the end is never marked, metadata that was loaded meanwhile expires with the longest
time of a write.

KEYS[1] marks of the tenant, a hash. version: of the metadata. epoch: of the worlds. Both are in microseconds, so no value returns.
pending: number of running writes. pendingUntil: when the last of them must have ended. erasingUntil: the same for a write that
removes something from the worlds.

ARGV[1] longest milliseconds of the write, '' at its end
ARGV[2] 1 if it removes something from the worlds without their logs, else 0

Replies 1.
]]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local version, epoch, pending, pendingUntil = unpack(redis.call(
  'HMGET', KEYS[1], 'version', 'epoch', 'pending', 'pendingUntil'
))
local function move(mark)
  return string.format('%.0f', math.max(now, (tonumber(mark) or 0) + 1))
end
local changes = {'version', move(version)}
local function change(field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end
if ARGV[2] == '1' then
  change('epoch', move(epoch))
end
-- Writes whose time is over have ended, told or not.
local others = pendingUntil and tonumber(pendingUntil) > now and tonumber(pending) or 0
if ARGV[1] ~= '' then
  change('pending', others + 1)
  local ends = math.max(others > 0 and tonumber(pendingUntil) or 0, now + ARGV[1] * 1000)
  change('pendingUntil', string.format('%.0f', ends))
  if ARGV[2] == '1' then
    change('erasingUntil', string.format('%.0f', ends))
  end
elseif others > 1 then
  change('pending', others - 1)
else
  redis.call('HDEL', KEYS[1], 'pending', 'pendingUntil', 'erasingUntil')
end
redis.call('HSET', KEYS[1], unpack(changes))
return 1
