-- A log that has lost entries continues behind a break: a seq that no entry has. Every seq that was given before is below the
-- break, and the next entry names it as the previous one. So every reader from before the break begins again.
local function findBreak(last, seen, now)
  return print(math.max(tonumber(last) + 1, seen + 1, now))
end
