#!lua flags=allow-key-locking,allow-oom
--[[
Notes how far Postgres has the log of events, and trims the log before it.

KEYS[1] [2] [3] meta, log and pending bytes, as append-events.lua writes them

ARGV[1] name of the log
ARGV[2] the cursor of Postgres
ARGV[3] the drain's token, '' for a drain without a claim
ARGV[4] 1 if the drain ends here in any case, else 0

Replies 1 if nothing is pending, else 0. With nothing pending, or at its end, the drain gives its claim back.
]]
-- include counts.lua

local metaKey, log, pending = unpack(KEYS)
local name, last, settled, token = unpack(redis.call('HMGET', metaKey, 'name', 'last', 'settled', 'token'))
if name ~= ARGV[1] then
  return 0
end
local cursor = math.max(tonumber(ARGV[2]), tonumber(settled))
-- Above what Postgres has, also where this Redis came back older.
redis.call('HSET', metaKey, 'settled', print(cursor), 'last', print(math.max(tonumber(last), cursor)))

local freed, total = {}, 0
local after = '-'
repeat
  local entries = redis.call('XRANGE', log, after, print(cursor), 'COUNT', 10)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    freed[fields[2]] = (freed[fields[2]] or 0) + fields[6]
    total = total + fields[6]
    after = '(' .. entry[1]
  end
until #entries < 10
if total > 0 then
  redis.call('XTRIM', log, 'MINID', print(cursor + 1))
end
local isEmpty = redis.call('XLEN', log) == 0
if isEmpty then
  redis.call('UNLINK', pending)
elseif total > 0 then
  freed[''] = total
  for tenant, bytes in pairs(freed) do
    if redis.call('HINCRBY', pending, tenant, print(-bytes)) <= 0 then
      redis.call('HDEL', pending, tenant)
    end
  end
end
if ARGV[3] ~= '' and ARGV[3] == token and (isEmpty or ARGV[4] == '1') then
  redis.call('HSET', metaKey, 'token', '')
end
return isEmpty and 1 or 0
