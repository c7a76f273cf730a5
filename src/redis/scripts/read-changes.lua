#!lua flags=allow-key-locking,allow-oom
--[[
Reads entries of a log for who follows it: it takes no lease and changes nothing.

KEYS[1] meta, a hash, as append.lua writes it
KEYS[2] log of the incarnation, a stream, as append.lua writes it

ARGV[1] incarnation
ARGV[2] seq behind which to read, '' for nothing but where the log ends
ARGV[3] bytes of operations after which to stop; one entry is read at least
ARGV[4] entries after which to stop

Replies
  {'read', last, committed, head, ops, head, ops, …}  head: 'seq prev count waits actor', as read.lua has it
  {'cold'}                                             nothing is known of the space
  {'deleted', incarnation}
  {'moved', incarnation}                               the space has another incarnation
]]
local incarnation, deleted, last, committed = unpack(redis.call(
  'HMGET', KEYS[1], 'incarnation', 'deleted', 'last', 'committed'
))
if not incarnation then
  return {'cold'}
end
if deleted then
  return {'deleted', incarnation}
end
if incarnation ~= ARGV[1] then
  return {'moved', incarnation}
end

local reply = {'read', last, committed}
if ARGV[2] == '' then
  return reply
end
local from, bytesLeft, entriesLeft = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
-- In pieces as large as what is left allows, by the size of the last one: little is read in vain.
local piece = 16
while bytesLeft > 0 and entriesLeft > 0 do
  local asked = math.min(piece, entriesLeft)
  local entries = redis.call('XRANGE', KEYS[2], '(' .. from .. '-0', '+', 'COUNT', asked)
  local bytes = 0
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    local size = #fields[10]
    if size > bytesLeft and #reply > 3 then
      return reply
    end
    from = string.sub(entry[1], 1, -3)
    reply[#reply + 1] = from .. ' ' .. fields[2] .. ' ' .. fields[6] .. ' ' .. (fields[12] or '0') .. ' ' .. fields[4]
    reply[#reply + 1] = fields[10]
    bytes = bytes + size
    bytesLeft = bytesLeft - size
    entriesLeft = entriesLeft - 1
  end
  if #entries < asked then
    return reply
  end
  piece = math.max(1, math.min(512, math.floor(bytesLeft * #entries / math.max(bytes, 1))))
end
return reply
