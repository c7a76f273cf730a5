#!lua flags=allow-key-locking,allow-oom
--[[
Takes or renews a place of an open stream, in its space and of its principal. A stream that does not renew its place before the lease
ends loses it.

KEYS[1] the space's open streams, a sorted set by the end of their lease in microseconds
KEYS[2] the principal's, the same
KEYS[3] all streams of the deployment, the same, without a limit
KEYS[4] all streams of the tenant, the same, without a limit

ARGV[1] the stream
ARGV[2] its lease, in milliseconds
ARGV[3] [4] places: of the space, of the principal

Replies 'taken', 'space_full' or 'principal_full'.
]]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
  local places = tonumber(ARGV[2 + i])
  if places and not redis.call('ZSCORE', key, ARGV[1]) and redis.call('ZCARD', key) >= places then
    return i == 1 and 'space_full' or 'principal_full'
  end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, string.format('%.0f', now + ARGV[2] * 1000), ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return 'taken'
