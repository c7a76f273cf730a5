-- The common part of the presence scripts. Each begins with these:
--
-- KEYS[1] meta of the space, a hash, as append.lua writes it
-- KEYS[2] stays, a sorted set: userId!sessionId by the last heartbeat, in milliseconds
-- KEYS[3] people, a hash by userId: joined, last heartbeat (milliseconds), number of sessions
-- KEYS[4] names, a sorted set: the userIds in their order, all with the score 0
-- KEYS[5] ended, a sorted set: sessionIds of sessions that ended. A late heartbeat must not revive them, also not of an erased person.
--
-- ARGV[1] [2] the name of the live channel before and after the incarnation
-- ARGV[3] milliseconds of silence after which a stay is over
-- ARGV[4] milliseconds for which a silent space keeps its people and its ended sessions
local metaKey, stays, people, names, ended = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- If one of the three keys was lost, the others have people who never leave. All join again with their next heartbeats.
-- Where one of the three was lost, the others tell of people who never leave: all begin again with their next heartbeats.
if redis.call('EXISTS', stays, people, names) % 3 ~= 0 then
  redis.call('UNLINK', stays, people, names)
end

-- As `..` prints a number it has 14 digits.
local function print(number)
  return string.format('%.0f', number)
end

-- RFC 3339 in UTC. There is no os.date here: days become a date as in the proleptic Gregorian calendar, years from March on.
local function writeTime(ms)
  local days = math.floor(ms / 86400000) + 719468
  local era = math.floor(days / 146097)
  local day = days - era * 146097
  local year = math.floor((day - math.floor(day / 1460) + math.floor(day / 36524) - math.floor(day / 146096)) / 365)
  day = day - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * day + 2) / 153)
  day = day - math.floor((153 * month + 2) / 5) + 1
  year = year + era * 400
  month = month + 3
  if month > 12 then
    month, year = month - 12, year + 1
  end
  return string.format(
    '%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(ms / 3600000) % 24, math.floor(ms / 60000) % 60, math.floor(ms / 1000) % 60, ms % 1000
  )
end

-- nil: not looked for yet; false: the space has no log, so nobody can have subscribed.
local channel
local function publish(event, userId)
  if channel == nil then
    local incarnation, deleted = unpack(redis.call('HMGET', metaKey, 'incarnation', 'deleted'))
    channel = incarnation and not deleted and ARGV[1] .. incarnation .. ARGV[2]
  end
  if channel then
    redis.call(
      'PUBLISH', channel,
      '{"presence":{"event":"' .. event .. '","userId":"' .. userId .. '","at":"' .. writeTime(now) .. '"}}'
    )
  end
end

local function readPerson(userId)
  local joined, seen, count = string.match(redis.call('HGET', people, userId) or '', '^(%d+) (%d+) (%d+)$')
  return joined, seen, tonumber(count)
end

-- The people who have left by their silence since this script began.
local silentPeople = {}
-- With the last of a person's stays they are gone themselves, which is said once.
local function remove(member, event)
  if redis.call('ZREM', stays, member) == 0 then
    return
  end
  local userId = string.match(member, '^[^!]+')
  local joined, seen, count = readPerson(userId)
  if count and count > 1 then
    redis.call('HSET', people, userId, joined .. ' ' .. seen .. ' ' .. print(count - 1))
  else
    redis.call('HDEL', people, userId)
    redis.call('ZREM', names, userId)
    publish(event, userId)
    if event == 'time_out' then
      silentPeople[#silentPeople + 1] = userId
    end
  end
end

-- Takes out what has been silent for too long, so many at most.
local function sweep(max)
  local silent = redis.call('ZRANGEBYSCORE', stays, '-inf', print(now - ARGV[3]), 'LIMIT', 0, max)
  for _, member in ipairs(silent) do
    remove(member, 'time_out')
  end
  return #silent
end

local function finish(member)
  redis.call('ZADD', ended, print(now), string.match(member, '[^!]+$'))
  remove(member, 'leave')
end

-- It searches all sessions of the space. Erasing a person is rare.
local function finishAll(userId)
  local prefix = userId .. '!'
  for _, member in ipairs(redis.call('ZRANGE', stays, 0, -1)) do
    if string.sub(member, 1, #prefix) == prefix then
      finish(member)
    end
  end
end
