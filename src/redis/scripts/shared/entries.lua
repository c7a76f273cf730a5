-- Adds the entries of a log after a seq to a reply: at least one, up to a number of bytes and of entries. Each entry is a head and its
-- operations. The head is 'seq prev count waits actor': waits is 0, 1 or 2 as ARGV[7] of append.lua, actor may be empty. With
-- hasRequests it is 'seq prev count waits actor request', of which request may be empty too.
local function addEntries(reply, log, from, bytesLeft, entriesLeft, hasRequests)
  -- In pieces as large as what is left allows, by the size of the last one: little is read in vain.
  local piece, isFirst = 16, true
  while bytesLeft > 0 and entriesLeft > 0 do
    local asked = math.min(piece, entriesLeft)
    local entries = redis.call('XRANGE', log, '(' .. from .. '-0', '+', 'COUNT', asked)
    local bytes = 0
    for _, entry in ipairs(entries) do
      local fields = entry[2]
      local size = #fields[10]
      if size > bytesLeft and not isFirst then
        return
      end
      isFirst, from = false, string.sub(entry[1], 1, -3)
      local head = from .. ' ' .. fields[2] .. ' ' .. fields[6] .. ' ' .. (fields[12] or '0') .. ' ' .. fields[4]
      reply[#reply + 1] = hasRequests and head .. ' ' .. (fields[14] or '') or head
      reply[#reply + 1] = fields[10]
      bytes = bytes + size
      bytesLeft = bytesLeft - size
      entriesLeft = entriesLeft - 1
    end
    if #entries < asked then
      return
    end
    piece = math.max(1, math.min(512, math.floor(bytesLeft * #entries / math.max(bytes, 1))))
  end
end
