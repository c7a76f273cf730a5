#!lua flags=allow-key-locking,allow-oom
--[[
Reads the parts of a state at one moment: a snapshot, the log after it, and the metadata. A caller that already has a view or metadata
receives only newer parts.

KEYS[1] meta, a hash, as append.lua writes it
KEYS[2] log of the incarnation, a stream, as append.lua writes it
KEYS[3] snapshot, a hash, as keep-snapshot.lua writes it: seq, epoch, objects, parts, 0, 1, …; or seq, isLarge
KEYS[4] metadata, a hash: id, rev, version, holdsUntil, keptAt, text; renewedAt, written here: when a caller was last told to renew it
KEYS[5] marks of the tenant, a hash, as mark-tenant.lua writes it
KEYS[6] the loading reader, a string
KEYS[7] counts of the tenant's cache, a hash: hits, misses

ARGV[1] incarnation
ARGV[2] [3] seq and epoch of the view that the caller holds, '' for none
ARGV[4] id of the metadata that the caller has, '' for none, '*' if it has just loaded its own
ARGV[5] [6] seq and rev that the caller has. Nothing is sent if they are the newest. 'any' asks only for the newest, '' for none.
ARGV[7] seq that the world must be at, at least
ARGV[8] [9] a token that no other reader has, and milliseconds that it may take to load a missing part
ARGV[10] [11] bytes and entries of the log at most; one entry is read at least
ARGV[12] [13] hits and misses to be counted
ARGV[14] microseconds for which metadata holds
ARGV[15] seconds for which a snapshot is kept, from when it was last read
ARGV[16] 1 if the log cannot be compared with Postgres now, else 0

Replies; marks is: version, epoch, pendingUntil, 1 if somebody is being erased, else 0
  {'cold', 1 if the caller is to open the log, else 0}
  {'deleted', the same}
  {'moved', incarnation}        as read.lua
  {'unverified'}                as read.lua
  {'same', last, rev, 1 if the caller is to renew the metadata, else 0, marks…}
  {'large', last, committed}    the world is too large for a snapshot
  {'missing', 1 if a world is missing, 1 if metadata is, 1 if the caller is to load it, last, committed, marks…}
  {'state', last, committed, metadata id, rev, metadata text, from, parts, behind operations, behind bytes, behind µs, marks…,
  1 if the caller is to renew the metadata, else 0, part, part, …, head, ops, head, ops, …}
  metadata text: '' if the caller has it. from: the entries begin after this seq. parts: number of parts, -1 if the caller's
  view is used. behind: how far the snapshot is behind, -1 without one. head: as in read.lua.
]]
-- include counts.lua
-- include run.lua
-- include entries.lua

local meta, log, snapshotKey, metadataKey, marksKey, loaderKey, countsKey = unpack(KEYS)
if ARGV[12] ~= '0' then
  redis.call('HINCRBY', countsKey, 'hits', ARGV[12])
end
if ARGV[13] ~= '0' then
  redis.call('HINCRBY', countsKey, 'misses', ARGV[13])
end

local incarnation, deleted, last, committed, counts, torn, run, runAt = unpack(redis.call(
  'HMGET', meta, 'incarnation', 'deleted', 'last', 'committed', 'counts', 'torn', 'run', 'runAt'
))
local function choose()
  return redis.call('SET', loaderKey, ARGV[8], 'NX', 'PX', ARGV[9]) and 1 or 0
end
if not incarnation then
  return {'cold', choose()}
elseif deleted then
  return {'deleted', choose()}
elseif incarnation ~= ARGV[1] then
  return {'moved', incarnation}
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if ARGV[16] ~= '1' and isOfOtherRun(run, runAt, now) then
  return {'unverified'}
end
local version, epoch, pendingUntil, erasingUntil = unpack(redis.call(
  'HMGET', marksKey, 'version', 'epoch', 'pendingUntil', 'erasingUntil'
))
version, epoch = version or '0', epoch or '0'
local marks = {version, epoch, pendingUntil or '0', erasingUntil and now < tonumber(erasingUntil) and 1 or 0}
local function withMarks(reply)
  for _, mark in ipairs(marks) do
    reply[#reply + 1] = mark
  end
  return reply
end

local metadata = redis.call('HMGET', metadataKey, 'id', 'rev', 'version', 'holdsUntil', 'keptAt', 'renewedAt')
-- Metadata that was loaded during a write expires when that write must have ended: it may be from before the commit.
local hasMetadata = metadata[1] and metadata[3] == version and (metadata[4] == '0' or now < tonumber(metadata[4]))
  and math.abs(now - metadata[5]) < tonumber(ARGV[14])

-- After half of its time, one of its readers loads the metadata again, after its answer.
local function chooseRenewer()
  if now - metadata[5] < ARGV[14] / 2 or (metadata[6] and now - metadata[6] < ARGV[9] * 1000) then
    return 0
  end
  redis.call('HSET', metadataKey, 'renewedAt', string.format('%.0f', now))
  return 1
end

if hasMetadata and (ARGV[5] == 'any' or (ARGV[5] == last and ARGV[6] == metadata[2])) then
  return withMarks({'same', last, metadata[2], chooseRenewer()})
end

-- A world at `seq` serves where the log continues from there without a gap, has no break behind it, and ends where it says.
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
local endsAt = newest and tonumber(string.sub(newest[1], 1, -3)) or 0
local function goesOn(seq)
  if tonumber(seq) < math.max(tonumber(ARGV[7]), tonumber(torn or 0)) then
    return false
  end
  if endsAt <= tonumber(seq) then
    -- Committed entries are trimmed in time, and a break is not an entry. Otherwise the last entry was lost.
    local isKept = endsAt == tonumber(last) or tonumber(last) <= tonumber(committed) or last == torn
    return isKept and tonumber(seq) == tonumber(last)
  end
  local entry = redis.call('XRANGE', log, '(' .. seq .. '-0', '+', 'COUNT', 1)[1]
  return endsAt == tonumber(last) and tonumber(entry[2][2]) == tonumber(seq), entry
end

local snapshot = redis.call('HMGET', snapshotKey, 'seq', 'epoch', 'parts', 'isLarge')
if snapshot[4] and ARGV[2] == '' then
  return {'large', last, committed}
end
local isSnapshot, first = false, nil
if snapshot[1] and not snapshot[4] and snapshot[2] == epoch then
  isSnapshot, first = goesOn(snapshot[1])
end
local from, parts
if ARGV[2] ~= '' and ARGV[3] == epoch and goesOn(ARGV[2]) then
  from, parts = ARGV[2], -1
elseif isSnapshot then
  from, parts = snapshot[1], tonumber(snapshot[3])
end

local bringsMetadata = ARGV[4] == '*'
if not from or not (hasMetadata or bringsMetadata) then
  return withMarks({'missing', from and 0 or 1, hasMetadata and 0 or 1, choose(), last, committed})
end

local operationsBehind, bytesBehind, timeBehind = -1, -1, -1
if isSnapshot then
  operationsBehind, bytesBehind, timeBehind = 0, 0, 0
  if first then
    local operations, _, bytes = readCounts(counts)
    local operationsBefore, _, bytesBefore = readCounts(first[2][8])
    operationsBehind, bytesBehind = operations - operationsBefore, bytes - bytesBefore
    timeBehind = math.max(0, now - tonumber(string.sub(first[1], 1, -3)))
  end
  if redis.call('TTL', snapshotKey) < ARGV[15] / 2 then
    redis.call('EXPIRE', snapshotKey, ARGV[15])
  end
end

local text = ''
if not bringsMetadata and metadata[1] ~= ARGV[4] then
  text = redis.call('HGET', metadataKey, 'text')
end
local reply = withMarks({
  'state', last, committed, bringsMetadata and '*' or metadata[1], bringsMetadata and 0 or metadata[2], text, from, parts,
  print(operationsBehind), print(bytesBehind), print(timeBehind)
})
reply[#reply + 1] = bringsMetadata and 0 or chooseRenewer()
for part = 0, parts - 1 do
  reply[#reply + 1] = redis.call('HGET', snapshotKey, part)
end
addEntries(reply, log, from, tonumber(ARGV[10]), tonumber(ARGV[11]))
return reply
