#!lua flags=allow-key-locking
--[[
Appends entries to a space's log. All checks come before all writes, because nothing here can be undone. Without allow-oom, Redis
refuses the script before its first line when memory is full. Operations are never decoded.

KEYS[1] meta, a hash. incarnation, incarnationSeq, deleted (1).
Seqs: last, committed, oldest ('' when all is committed), waits (the newest seq with a waiting caller).
counts: everything that was appended. settled: everything before the oldest.
token and due: the next drain or the running one (see shared/claim.lua).
torn: the newest break in the log (see shared/tear.lua). why: lost, behind, or told (an incident says so already).
missing: the missing seqs before the break ('after to').
run and runAt: the run of Redis in which the log was compared with Postgres, and when that was last checked.
restartedAt: the end of the log when entries were pending in a new run.
chat: the lowest role that may post messages (viewer, editor or owner), or off.
KEYS[2] log of the incarnation, a stream: id seq-0; p prev, a actor, n number of operations, c counts before it, o operations
as JSON, w if a caller waits (1; 2 if it also needs the object as the entry leaves it), r the request's id. They are in this order.
An entry with r has w too: 0 if nobody waits.
KEYS[3] dirty, a sorted set
KEYS[4] the answer for the idempotency key, a string
KEYS[5] the principal's budget, a string
KEYS[6] … the message budgets of the people in ARGV[28], strings; then the answers for the callers' ids of messages, as KEYS[4]

ARGV[1] incarnation that the caller knows, '' for none
ARGV[2] the space's member of dirty
ARGV[3] channel of the incarnation
ARGV[4] a token that no other drain has
ARGV[5] actor, '' for nobody
ARGV[6] actor as JSON
ARGV[7] 1 if somebody waits for the outcome, 2 if for the object as well, else 0
ARGV[8] [9] [10] microseconds from an append to its drain, from one drain to the next, and of a drain's lease
ARGV[11] [12] [13] backlog at most: bytes, entries, microseconds of the oldest
ARGV[14] seconds that the answer is kept for idempotency keys; a return of a spilled request begins them again
ARGV[15] fingerprint of the request
ARGV[16] [17] requests and operations a minute, 0 for not counted
ARGV[18] [19] what Postgres says of the incarnation: its own seq and the cursor; '' where it was not asked
ARGV[20] seq that the log must end at, '' for any
ARGV[21] the highest seq of this log that the caller knows, 0 for none
ARGV[22] 1 where the log cannot be compared with Postgres now, else 0
ARGV[23] the answer of Postgres about a log that was open before: lost, if an incident says so, else open; '' for a new log
ARGV[24] chat, as Postgres has it; '' where it was not asked
ARGV[25] the caller's role; '' for an API key; accepted for a spilled request, whose messages may be posted whatever chat says now
ARGV[26] messages of one person a minute, 0 for not counted
ARGV[27] ids of the posted messages, with a comma between them
ARGV[28] number of posted messages, then of each person: '3 2 1'
ARGV[29] 1 if KEYS[4] is an idempotency key, else 0
ARGV[30] id of the request, '' for none
ARGV[31] … operations of an entry and their count, operations of the next and their count, …; none only opens the log

Replies; budget is: requests remaining, ms until whole, operations remaining, ms until whole; -1 remaining for not counted
  {'appended', first seq, last seq, operations, drain, replaced incarnation or '', after, budget…}
    drain: ms after which the caller drains. -1 if another drain has the claim.
    after: the seq before the first, if nothing else was pending; else ''.
  {'repeated', first seq, last seq, operations, incarnation, ids of messages, budget…}   the first answer; nothing was written
  {'cold', 1 if the log of the incarnation is there, else 0}            nothing is known of the space
  {'deleted', incarnation}
  {'moved', incarnation}                                                the space has another incarnation
  {'unverified'}                                                        the log is to be compared with Postgres: see tear.lua
  {'ahead'}                                                             the log does not end where it must
  {'key_reused'}
  {'no_chat', chat}                                                     the caller may not post messages
  {'over_budget', requests or updates or messages, ms to wait, budget…}
  {'backlog_full', bytes or entries or age, actual}                     age in microseconds
]]
local MINUTE = 60000000
-- The first operations among ARGV.
local ENTRIES = 31
local RANKS = {viewer = 1, editor = 2, owner = 3}

-- include counts.lua
-- include run.lua
-- include tear.lua
-- include claim.lua

local metaKey, log = KEYS[1], KEYS[2]
local known, openedSeq = ARGV[1], tonumber(ARGV[18])
local seen, isUnchecked = tonumber(ARGV[21]), ARGV[22] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- The space

local incarnation, deleted, last, oldest, token, due, counts, settled = unpack(redis.call(
  'HMGET', metaKey, 'incarnation', 'deleted', 'last', 'oldest', 'token', 'due', 'counts', 'settled'
))
local committed, torn, missing, run, runAt = unpack(redis.call(
  'HMGET', metaKey, 'committed', 'torn', 'missing', 'run', 'runAt'
))
local isOpening = openedSeq ~= nil and (
  not incarnation
  or (incarnation ~= known and openedSeq > tonumber(redis.call('HGET', metaKey, 'incarnationSeq') or -1))
)
-- The first seq given now is not below this.
local least = now
-- Why the log has to be broken here, if it has to be.
local why
if isOpening then
  findRun()
  -- Above what another incarnation had; but no entry of that is missing from this one, whose first names the cursor.
  least = math.max(least, (last or 0) + 1)
  local from = tonumber(ARGV[19])
  local lastEntry
  oldest, token, due, counts, missing, committed = '', '', nil, '0 0 0', '', ARGV[19]
  -- Where the hash alone was lost, the stream says how far it had come.
  local hasLog = redis.call('EXISTS', log) == 1
  if hasLog then
    local info = redis.call('XINFO', 'STREAM', log)
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then
        from = math.max(from, tonumber(string.match(info[i + 1], '^%d+')))
      elseif info[i] == 'last-entry' and info[i + 1] then
        local fields = info[i + 1][2]
        lastEntry = tonumber(string.match(info[i + 1][1], '^%d+'))
        local ops, entries, bytes = readCounts(fields[8])
        counts = print(ops + fields[6]) .. ' ' .. print(entries + 1) .. ' ' .. print(bytes + #fields[10])
      end
    end
  end
  last, settled = print(from), counts
  -- Where the log begins is no entry's seq, and not one that was lost.
  torn = lastEntry == from and '0' or last
  if not hasLog and ARGV[23] ~= '' then
    why = (ARGV[23] == 'open' and seen > from) and 'lost' or 'told'
  end
  local open = redis.call('XRANGE', log, '(' .. ARGV[19] .. '-0', '+', 'COUNT', 1)[1]
  if open then
    oldest, settled = string.sub(open[1], 1, -3), open[2][8]
  end
elseif not incarnation then
  return {'cold', known == '' and 0 or redis.call('EXISTS', log)}
elseif deleted then
  return {'deleted', incarnation}
elseif incarnation ~= known then
  return {'moved', incarnation}
elseif not isUnchecked and isOfOtherRun(run, runAt, now) then
  return {'unverified'}
end

-- An entry that the caller knows and the log does not have was lost, unless a later break says so already. A trimmed entry is named
-- by the first remaining one, or is before that.
local function isMissing(seq)
  if seq <= tonumber(torn or 0) or #redis.call('XRANGE', log, print(seq), print(seq), 'COUNT', 1) > 0 then
    return false
  end
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  return first and tonumber(first[2][2]) < seq
end
if not why and (seen > tonumber(last) or (seen < tonumber(last) and isMissing(seen))) then
  why = 'lost'
end
if why then
  if why == 'lost' then
    missing = print(math.min(tonumber(last), seen - 1)) .. ' ' .. print(seen)
  end
  last = findBreak(last, seen, now)
  torn = last
  if oldest == '' then
    oldest = last
  end
end

if ARGV[20] ~= '' and tonumber(ARGV[20]) ~= tonumber(last) then
  return {'ahead'}
end

local count, size, operations = (#ARGV - ENTRIES + 1) / 2, 0, 0
for i = ENTRIES, #ARGV, 2 do
  size = size + #ARGV[i]
  operations = operations + ARGV[i + 1]
end

-- The budget: of each kind the time at which it is whole again, which everything taken moves on (GCRA)

local isCounted = ARGV[16] ~= '0' or ARGV[17] ~= '0'
local limits, wholeAt
if isCounted then
  limits, wholeAt = {tonumber(ARGV[16]), tonumber(ARGV[17])}, {now, now}
  local requests, updates = string.match(redis.call('GET', KEYS[5]) or '', '^(%S+) (%S+)$')
  for kind, at in ipairs({requests, updates}) do
    -- Further off than anything that is taken can move it, it was written before the clock was set back.
    wholeAt[kind] = math.min(math.max(tonumber(at), now), now + 2 * MINUTE)
  end
end

local function withBudget(reply)
  if isCounted then
    for kind, limit in ipairs(limits) do
      local taken = wholeAt[kind] - now
      -- A microsecond more, because of rounding.
      local left = math.max(0, math.floor((MINUTE - taken + 1) * limit / MINUTE))
      reply[#reply + 1] = limit == 0 and -1 or left
      reply[#reply + 1] = math.ceil(taken / 1000)
    end
  end
  return reply
end

-- Checks

local function isLost(seq)
  local after, to = string.match(missing or '', '^(%d+) (%d+)$')
  if after and seq > tonumber(after) and seq <= tonumber(to) then
    return true
  end
  return seq > tonumber(committed or 0) and #redis.call('XRANGE', log, print(seq), print(seq), 'COUNT', 1) == 0
end

local messages = {}
for number in string.gmatch(ARGV[28], '%d+') do
  messages[#messages + 1] = tonumber(number)
end
local people = #messages - 1

local answers = {}
if ARGV[29] == '1' then
  answers[1] = KEYS[4]
end
for i = 6 + people, #KEYS do
  answers[#answers + 1] = KEYS[i]
end
for _, key in ipairs(answers) do
  local answered = redis.call('GET', key)
  if answered then
    local first, seq, accepted, of, ids, fingerprint =
      string.match(answered, '^(%d+) (%d+) (%d+) (%S+) (%S*) (.*)$')
    -- An entry of another incarnation is gone with it, and a lost entry is gone: append again.
    if of == known and not isLost(tonumber(seq)) then
      if fingerprint ~= ARGV[15] then
        return {'key_reused'}
      end
      if ARGV[25] == 'accepted' then
        for _, name in ipairs(answers) do
          redis.call('EXPIRE', name, ARGV[14])
        end
      end
      return withBudget({'repeated', first, seq, tonumber(accepted), of, ids})
    end
  end
end

if messages[1] > 0 and ARGV[25] ~= 'accepted' then
  local chat = isOpening and ARGV[24] or redis.call('HGET', metaKey, 'chat')
  if chat == 'off' or (ARGV[25] ~= '' and RANKS[ARGV[25]] < RANKS[chat]) then
    return {'no_chat', chat}
  end
end

local spent
if isCounted and count > 0 then
  spent = {now, now}
  for kind, cost in ipairs({1, operations}) do
    local limit = limits[kind]
    if limit > 0 then
      -- A request above a whole minute needs the whole minute, and owes the rest.
      local wait = wholeAt[kind] + math.min(cost, limit) * MINUTE / limit - now - MINUTE
      if wait >= 1 then
        return withBudget({'over_budget', kind == 1 and 'requests' or 'updates', math.ceil(wait / 1000)})
      end
      spent[kind] = wholeAt[kind] + cost * MINUTE / limit
    end
  end
end

-- When each person's message budget is whole again.
local spoken = {}
if ARGV[26] ~= '0' then
  for i = 1, people do
    local share = messages[i + 1] * MINUTE / ARGV[26]
    local at = math.min(math.max(tonumber(redis.call('GET', KEYS[5 + i]) or 0), now), now + 2 * MINUTE)
    local wait = at + math.min(share, MINUTE) - now - MINUTE
    if wait >= 1 then
      return withBudget({'over_budget', 'messages', math.ceil(wait / 1000)})
    end
    spoken[i] = at + share
  end
end

local ops, entries, bytes = readCounts(counts)
local settledOps, settledEntries, settledBytes = readCounts(settled)
if count > 0 then
  if bytes - settledBytes + size > tonumber(ARGV[11]) then
    return {'backlog_full', 'bytes', bytes - settledBytes + size}
  elseif entries - settledEntries + count > tonumber(ARGV[12]) then
    return {'backlog_full', 'entries', entries - settledEntries + count}
  elseif oldest ~= '' and now - oldest > tonumber(ARGV[13]) then
    return {'backlog_full', 'age', now - oldest}
  end
end

-- Writes

local seq, first, isClean = last, nil, oldest == ''
for i = ENTRIES, #ARGV, 2 do
  local prev = seq
  seq = print(math.max(prev + 1, least))
  first = first or seq
  if ARGV[30] ~= '' then
    redis.call(
      'XADD', log, seq .. '-0', 'p', prev, 'a', ARGV[5], 'n', ARGV[i + 1], 'c', counts, 'o', ARGV[i], 'w', ARGV[7], 'r', ARGV[30]
    )
  elseif ARGV[7] ~= '0' then
    redis.call(
      'XADD', log, seq .. '-0', 'p', prev, 'a', ARGV[5], 'n', ARGV[i + 1], 'c', counts, 'o', ARGV[i], 'w', ARGV[7]
    )
  else
    redis.call('XADD', log, seq .. '-0', 'p', prev, 'a', ARGV[5], 'n', ARGV[i + 1], 'c', counts, 'o', ARGV[i])
  end
  redis.call(
    'PUBLISH', ARGV[3],
    '{"seq":' .. seq .. ',"prev":' .. prev .. ',"actor":' .. ARGV[6] .. ',"ops":' .. ARGV[i] .. '}'
  )
  ops, entries, bytes = ops + ARGV[i + 1], entries + 1, bytes + #ARGV[i]
  counts = print(ops) .. ' ' .. print(entries) .. ' ' .. print(bytes)
end

local changes = {'last', seq, 'counts', counts}
local function change(field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end

if isOpening then
  redis.call('DEL', metaKey)
  change('incarnation', known)
  change('incarnationSeq', ARGV[18])
  change('committed', ARGV[19])
  change('settled', settled)
  change('torn', torn)
  change('chat', ARGV[24])
end
if thisRun and thisRun ~= '' and not isUnchecked then
  change('run', thisRun)
  change('runAt', print(now))
end
if why then
  change('torn', torn)
  change('why', why)
  change('missing', missing or '')
end
if isOpening or isClean or why then
  if oldest == '' and first then
    oldest = first
  end
  change('oldest', oldest)
  if oldest ~= '' then
    -- A log that is drained is left to expire.
    redis.call('PERSIST', log)
  end
end
-- Also where it is there already: the set may have been lost.
if oldest ~= '' then
  redis.call('ZADD', KEYS[3], oldest, ARGV[2])
end

local drain = -1
if count > 0 then
  local isAwaited = ARGV[7] ~= '0'
  if isAwaited then
    change('waits', seq)
  end
  local newDue = claimDrain(token, due, now, isAwaited, tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]))
  if newDue then
    drain = math.ceil((newDue - now) / 1000)
    change('token', ARGV[4])
    change('due', print(newDue))
  end
end
redis.call('HSET', metaKey, unpack(changes))

for _, key in ipairs(answers) do
  local answer = table.concat({first or seq, seq, print(operations), known, ARGV[27], ARGV[15]}, ' ')
  redis.call('SET', key, answer, 'EX', ARGV[14])
end
for i, at in pairs(spoken) do
  redis.call('SET', KEYS[5 + i], string.format('%.3f', at), 'PX', print(math.ceil((at - now) / 1000)))
end
if spent then
  wholeAt = spent
  local takenMs = math.ceil((math.max(wholeAt[1], wholeAt[2]) - now) / 1000)
  redis.call(
    'SET', KEYS[5], string.format('%.3f %.3f', wholeAt[1], wholeAt[2]), 'PX', print(math.max(takenMs, 1))
  )
end

return withBudget({
  'appended', first or seq, seq, operations, drain, isOpening and incarnation or '', isClean and first and last or ''
})
