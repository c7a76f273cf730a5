#!lua flags=allow-key-locking,allow-oom
--[[
A write is under way, or has ended, to what a tenant's states show and no log holds: what was kept of that before is not shown
any more. Called before the write and behind it; where its end is never told, what was loaded meanwhile holds no longer than
the write can last.

KEYS[1] marks of the tenant, a hash: version, of what stands metadata its worlds; epoch, of the worlds themselves; both in
        microseconds, so that neither ever comes again; pending, how many writes are under way, and pendingUntil, when the
        last of them must have ended; erasingUntil, the same of one that takes something out of the worlds

ARGV[1] milliseconds that the write may last, '' where it has ended
ARGV[2] 1 if it takes something out of the worlds that their logs do not, else 0

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
