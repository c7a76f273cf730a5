#!lua flags=allow-key-locking
--[[
Appends the events of one request to the log of events. All checks come before all writes. Without allow-oom, Redis refuses the script
before its first line when memory is full. Events are never decoded.

KEYS[1] meta of the log, a hash: name, last (the newest seq), settled (the last seq in Postgres), token and due (see shared/claim.lua)
KEYS[2] log, a stream: id seq-0; t tenant, n number of events, b bytes, o events as JSON, in this order
KEYS[3] pending bytes, a hash by tenant; the field '' has the sum of all tenants
KEYS[4] ids that the tenant's callers gave to events, a sorted set by microseconds

ARGV[1] tenant
ARGV[2] a token that no other drain has
ARGV[3] name of the log, if it begins now
ARGV[4] [5] microseconds from an append to its drain, and of a drain's lease
ARGV[6] [7] pending bytes at most: of all tenants, of one
ARGV[8] bytes of an entry at most
ARGV[9] [10] ids are remembered: for so many seconds, and so many of a tenant
ARGV[11] … id that the caller gave or '', event as JSON, id, event, …

Replies {accepted, duplicates, dropped because of the limit of all, of the tenant, drain}. drain: ms after which the caller drains, -1 if
another drain has the claim.
]]
-- The first event among ARGV.
local EVENTS = 11

-- include counts.lua
-- include claim.lua

local metaKey, log, pending, ids = unpack(KEYS)
local tenant, window = ARGV[1], tonumber(ARGV[9]) * 1000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local name, last, token, due = unpack(redis.call('HMGET', metaKey, 'name', 'last', 'token', 'due'))
local isEmpty = not name or redis.call('XLEN', log) == 0
local total, own = 0, 0
if not isEmpty then
  total, own = unpack(redis.call('HMGET', pending, '', tenant))
  total, own = tonumber(total) or 0, tonumber(own) or 0
end

-- The given ids, by the time at which they were accepted.
local given, knownAt = {}, {}
for i = EVENTS, #ARGV, 2 do
  if ARGV[i] ~= '' then
    given[#given + 1] = ARGV[i]
  end
end
if #given > 0 then
  local times = redis.call('ZMSCORE', ids, unpack(given))
  for i, id in ipairs(given) do
    knownAt[id] = times[i] and tonumber(times[i])
  end
end

local entries, texts, size = {}, {}, 0
local function endEntry()
  if #texts > 0 then
    entries[#entries + 1] = {#texts, size, '[' .. table.concat(texts, ',') .. ']'}
    texts, size = {}, 0
  end
end

local accepted, duplicates, overTotal, overOwn, known = 0, 0, 0, 0, {}
for i = EVENTS, #ARGV, 2 do
  local id, text = ARGV[i], ARGV[i + 1]
  local bytes = #text
  if knownAt[id] and knownAt[id] > now - window then
    duplicates = duplicates + 1
  elseif total + bytes > tonumber(ARGV[6]) then
    overTotal = overTotal + 1
  elseif own + bytes > tonumber(ARGV[7]) then
    overOwn = overOwn + 1
  else
    if size + bytes > tonumber(ARGV[8]) then
      endEntry()
    end
    texts[#texts + 1] = text
    size, total, own, accepted = size + bytes, total + bytes, own + bytes, accepted + 1
    if id ~= '' then
      knownAt[id] = now
      known[#known + 1] = print(now)
      known[#known + 1] = id
    end
  end
end
endEntry()
if accepted == 0 then
  return {0, duplicates, overTotal, overOwn, -1}
end

-- Writes

if not name then
  -- Nothing says which of these entries Postgres has.
  redis.call('UNLINK', log)
  redis.call('HSET', metaKey, 'name', ARGV[3], 'settled', '0')
end
if isEmpty then
  redis.call('UNLINK', pending)
end
local seq = tonumber(last) or 0
for _, entry in ipairs(entries) do
  seq = math.max(seq + 1, now)
  redis.call('XADD', log, print(seq) .. '-0', 't', tenant, 'n', print(entry[1]), 'b', print(entry[2]), 'o', entry[3])
end
redis.call('HSET', pending, '', print(total), tenant, print(own))
if #known > 0 then
  redis.call('ZADD', ids, unpack(known))
  redis.call('ZREMRANGEBYSCORE', ids, '-inf', print(now - window))
  redis.call('ZREMRANGEBYRANK', ids, 0, -1 - ARGV[10])
  redis.call('EXPIRE', ids, ARGV[9])
end
redis.call('HSET', metaKey, 'last', print(seq))
local newDue = claimDrain(token, due, now, false, tonumber(ARGV[4]), 0, tonumber(ARGV[5]))
if not newDue then
  return {accepted, duplicates, overTotal, overOwn, -1}
end
redis.call('HSET', metaKey, 'token', ARGV[2], 'due', print(newDue))
return {accepted, duplicates, overTotal, overOwn, math.ceil((newDue - now) / 1000)}
