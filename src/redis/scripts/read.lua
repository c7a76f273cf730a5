#!lua flags=allow-key-locking,allow-oom
--[[
Reads entries of a log for a drain, and renews the lease of the drain that shows its token.

KEYS[1] meta, a hash, as append.lua writes it
KEYS[2] log of the incarnation, a stream, as append.lua writes it

ARGV[1] incarnation
ARGV[2] the drain's token, '' for whoever else drains
ARGV[3] its lease, in microseconds
ARGV[4] seq behind which to read, '' for what is known to be committed
ARGV[5] bytes of operations after which to stop; one entry is read at least
ARGV[6] entries after which to stop

Replies
  {'read', after, last, head, ops, head, ops, …}  head: 'seq prev count waits actor', waits 0 or 1, actor may be empty
  {'cold'}                                         nothing is known of the space
  {'deleted', incarnation}
  {'moved', incarnation}                           the space has another incarnation: nothing was done
  {'relieved'}                                     another drain has been elected since
]]
local meta = redis.call('HMGET', KEYS[1], 'incarnation', 'deleted', 'last', 'committed', 'token')
local incarnation, deleted, last, committed, token = unpack(meta)
if not incarnation then
  return {'cold'}
end
if deleted then
  return {'deleted', incarnation}
end
if incarnation ~= ARGV[1] then
  return {'moved', incarnation}
end
if ARGV[2] ~= '' then
  if ARGV[2] ~= token then
    return {'relieved'}
  end
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'lease', string.format('r%.0f', time[1] * 1000000 + time[2] + ARGV[3]))
end

local after = ARGV[4] == '' and committed or ARGV[4]
local bytesLeft, entriesLeft = tonumber(ARGV[5]), tonumber(ARGV[6])
local reply = {'read', after, last}
-- In pieces as large as what is left allows, by the size of the last one: little is read in vain.
local piece, from = 16, after
while bytesLeft > 0 and entriesLeft > 0 do
  local asked = math.min(piece, entriesLeft)
  local entries = redis.call('XRANGE', KEYS[2], '(' .. from .. '-0', '+', 'COUNT', asked)
  local bytes = 0
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    local size = #fields[10]
    if size > bytesLeft and #reply > 3 then
      bytesLeft = 0
      break
    end
    local seq = string.sub(entry[1], 1, -3)
    reply[#reply + 1] = seq .. ' ' .. fields[2] .. ' ' .. fields[6] .. ' ' .. (fields[12] or '0') .. ' ' .. fields[4]
    reply[#reply + 1] = fields[10]
    from = seq
    bytes = bytes + size
    bytesLeft = bytesLeft - size
    entriesLeft = entriesLeft - 1
  end
  if #entries < asked then
    break
  end
  piece = math.max(1, math.min(512, math.floor(bytesLeft * #entries / math.max(bytes, 1))))
end
return reply
