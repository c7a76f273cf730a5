--[[
The one rule for when a space is drained. Meta says who drains, and from when: token, of the drain that runs or is to begin, ''
for none; due, in microseconds. While a drain runs, due is when it last said so. Where there is none, due is when the next
may begin.

A drain is due `soon` after the append that claims it, and not before the due that the last drain left. If a caller waits, it is due
immediately. A claim is held until `lease` after its due. It gives way to a claim that is due earlier. No claim is due earlier than a
running drain.
]]
-- Returns the due of a new claim; nil where another holds.
local function claimDrain(token, due, now, isAwaited, soon, rest, lease)
  due = tonumber(due) or 0
  -- Further off than any due is, it was written before the clock was set back.
  local isHeld = token and token ~= '' and now < due + lease
  if due > now + math.max(soon, rest) then
    due, isHeld = 0, false
  end
  local newDue = isAwaited and now or math.max(now + soon, due)
  if not isHeld or newDue < due then
    return newDue
  end
end
