-- As `..` prints a number it has 14 digits. This is slow for a seq, so what is printed once is kept.
local function print(number)
  return string.format('%.0f', number)
end
-- How much was appended from the incarnation's beginning on: 'operations entries bytes'
local function readCounts(counts)
  local ops, entries, bytes = string.match(counts, '^(%d+) (%d+) (%d+)$')
  return tonumber(ops), tonumber(entries), tonumber(bytes)
end
