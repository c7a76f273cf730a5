-- Microseconds for which the run that a log's meta names is believed: asking costs 13 µs.
local RUN_BELIEVED_US = 100000
-- The run_id of this Redis, once asked for; '' where it does not say.
local thisRun
local function findRun()
  local info = redis.pcall('INFO', 'server')
  thisRun = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
  return thisRun
end
-- Whether meta was compared with Postgres in another run of Redis. A Redis that restarted, or took over from another one, may
-- lack what that had acknowledged last.
local function isOfOtherRun(run, runAt, now)
  local age = now - (tonumber(runAt) or 0)
  if run and age >= 0 and age < RUN_BELIEVED_US then
    return false
  end
  return findRun() ~= '' and thisRun ~= run
end
