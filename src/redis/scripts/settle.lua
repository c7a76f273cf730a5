#!lua flags=allow-key-locking,allow-oom
--[[
Notes the cursor of Postgres, publishes it if it has risen, and trims the log before it. Removes the space from the dirty set if
nothing is pending.

KEYS[1] meta, a hash, as append.lua writes it
KEYS[2] log of the incarnation, a stream, as append.lua writes it
KEYS[3] dirty, a sorted set
KEYS[4] the tenant's counts, a hash
KEYS[5] snapshot of the incarnation, a hash, as keep-snapshot.lua writes it
KEYS[6] operations of the space without effect, a sorted set: 'seq index kind status id' by seq
KEYS[7] the tenant's newest spaces, a sorted set: members of dirty by the committed seq

ARGV[1] incarnation
ARGV[2] the space's member of dirty
ARGV[3] the cursor of Postgres
ARGV[4] the drain's token, '' for a drain without a claim
ARGV[5] the next step of the drain if entries are left: 0 stop, 1 continue, 2 pause unless a caller waits
ARGV[6] microseconds from one drain to the next
ARGV[7] [8] [9] since the last settle: operations, entries, and the sum of milliseconds from append to commit
ARGV[10] [11] [12] limits of the kept log: seconds, entries, bytes
ARGV[13] operations without effect since the last settle
ARGV[14] [15] limits of the noted ones: how many per space, and for how many seconds
ARGV[16] channel of the incarnation
ARGV[17] [18] limits of the newest spaces: how many, and for how many seconds
ARGV[19] … the first operations without effect, as in KEYS[6]

Replies {last seq of the log, 1 if all is committed, else 0, microseconds of the pause, snapshot objects, operations, bytes and
microseconds behind}. The last four say how far the snapshot is behind the committed log, -1 without a snapshot. Another incarnation
has nothing pending. For an unknown space the reply says that entries may be pending.
]]
-- Entries of which the mean latency is: an older one counts for less and less.
local LATENCY_ENTRIES = 1000

-- include counts.lua
-- include tear.lua

local metaKey, log, dirty, stats, snapshot, noEffects, newest = unpack(KEYS)
if ARGV[7] ~= '0' or ARGV[8] ~= '0' then
  local counts = redis.call('HMGET', stats, 'latencyMs', 'latencyEntries')
  local latencyMs, latencyEntries = (counts[1] or 0) + ARGV[9], (counts[2] or 0) + ARGV[8]
  local share = math.min(1, LATENCY_ENTRIES / math.max(latencyEntries, 1))
  redis.call('HINCRBY', stats, 'processed', ARGV[7])
  redis.call(
    'HSET', stats, 'latencyMs', string.format('%.3f', latencyMs * share),
    'latencyEntries', string.format('%.3f', latencyEntries * share)
  )
end

if ARGV[13] ~= '0' then
  redis.call('HINCRBY', stats, 'noEffect', ARGV[13])
  for i = 19, #ARGV do
    redis.call('ZADD', noEffects, string.match(ARGV[i], '^%d+'), ARGV[i])
  end
  redis.call('ZREMRANGEBYRANK', noEffects, 0, -1 - ARGV[14])
  redis.call('EXPIRE', noEffects, ARGV[15])
end

local incarnation, deleted, last, committed, token, waits, counts, settled = unpack(redis.call(
  'HMGET', metaKey, 'incarnation', 'deleted', 'last', 'committed', 'token', 'waits', 'counts', 'settled'
))
if not incarnation then
  return {ARGV[3], 0, 0, -1, -1, -1, -1}
elseif deleted or incarnation ~= ARGV[1] then
  return {ARGV[3], 1, 0, -1, -1, -1, -1}
end
local before = tonumber(committed)
committed = math.max(tonumber(ARGV[3]), before)
last = tonumber(last)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local changes = {'committed', print(committed)}
local function change(field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end
if last < committed then
  -- This Redis came back older than Postgres since the drain read the log.
  local torn = findBreak(last, committed, now)
  last = tonumber(torn)
  change('last', torn)
  change('torn', torn)
  change('why', 'behind')
  change('missing', '')
end
local isDrained = last == committed
if isDrained then
  settled = counts
  change('oldest', '')
  redis.call('ZREM', dirty, ARGV[2])
else
  local open = redis.call('XRANGE', log, '(' .. print(committed) .. '-0', '+', 'COUNT', 1)[1]
  -- Where the log's end was lost, what is left to drain is to learn of that.
  settled = open and open[2][8] or counts
  local oldest = open and string.sub(open[1], 1, -3) or print(last)
  change('oldest', oldest)
  redis.call('ZADD', dirty, oldest, ARGV[2])
end
change('settled', settled)
-- The drain runs on, rests, or leaves the next to another, which comes after a rest too (see shared/claim.lua).
local isOwn = token and token ~= '' and ARGV[4] == token
local rest = 0
if isDrained or isOwn then
  local ends = isDrained or ARGV[5] == '0'
  local isRestful = isDrained or (ARGV[5] == '2' and (tonumber(waits) or 0) <= committed)
  rest = isRestful and tonumber(ARGV[6]) or 0
  change('due', print(now + rest))
  if ends then
    change('token', '')
  end
end
redis.call('HSET', metaKey, unpack(changes))
if committed > before then
  redis.call('ZADD', newest, print(committed), ARGV[2])
  redis.call('ZREMRANGEBYRANK', newest, 0, -1 - ARGV[17])
  redis.call('EXPIRE', newest, ARGV[18])
  redis.call('PUBLISH', ARGV[16], '{"committed":' .. print(committed) .. '}')
end

-- The distance that readers would have to fold. A snapshot that the log does not reach any more is useless.
local behind = {-1, -1, -1, -1}
local kept = redis.call('HMGET', snapshot, 'seq', 'objects')
if kept[1] and kept[2] then
  behind = {kept[2], 0, 0, 0}
  local open = redis.call('XRANGE', log, '(' .. kept[1] .. '-0', '+', 'COUNT', 1)[1]
  if open and tonumber(string.sub(open[1], 1, -3)) <= committed then
    local operations, _, bytes = readCounts(settled)
    local operationsBefore, _, bytesBefore = readCounts(open[2][8])
    behind = {
      kept[2], print(operations - operationsBefore), print(bytes - bytesBefore),
      print(math.max(0, now - tonumber(string.sub(open[1], 1, -3))))
    }
  end
end

-- Never beyond what is committed, however large the window says it is too large.
local oldestKept = now - ARGV[10] * 1000000
local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
if first then
  local _, entries, bytes = readCounts(counts)
  local _, settledEntries = readCounts(settled)
  local bytesMax = tonumber(ARGV[12])
  local function isTooLarge(entry)
    local _, _, before = readCounts(entry[2][8])
    return bytes - before > bytesMax
  end
  if isTooLarge(first) then
    -- Each entry says how many bytes were appended before it: the first that may stay is found by halving.
    local low, high = tonumber(string.sub(first[1], 1, -3)), committed + 1
    while high - low > 1 do
      local middle = math.floor((low + high) / 2)
      local entry = redis.call('XRANGE', log, print(middle), '+', 'COUNT', 1)[1]
      if entry and isTooLarge(entry) then
        low = middle
      else
        high = middle
      end
    end
    oldestKept = math.max(oldestKept, high)
  end
  redis.call('XTRIM', log, 'MINID', print(math.min(oldestKept, committed + 1)))
  redis.call('XTRIM', log, 'MAXLEN', print(math.max(tonumber(ARGV[11]), entries - settledEntries)))
end
if isDrained then
  redis.call('EXPIRE', log, ARGV[10])
end
return {print(last), isDrained and 1 or 0, isDrained and 0 or rest, unpack(behind)}
