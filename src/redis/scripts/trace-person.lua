#!lua flags=allow-key-locking,allow-oom
--[[
Looks in some spaces for a person. In a part of the log: as the actor of an entry, or named in its operations. Operations are never decoded.
A name between quotes in another place counts too, which does no harm: more is trimmed then. Also in presence, and in the notes of operations
without effect.

KEYS, three for each space
KEYS[1] log of the incarnation, a stream, as append.lua writes it
KEYS[2] people, a hash, as shared/presence.lua says
KEYS[3] no-effects, a sorted set, as settle.lua writes it

ARGV[1] user id
ARGV[2] bytes of operations of all spaces together after which to stop; one entry of each log is read at least
ARGV[3] … for each space the seq behind which to read its log, '' for the beginning

Replies three items for each space. The newest seq that names the person, '' for none. The seq behind which to go on, '' at the end of the
log. 1 if the person is in presence or in the notes, else 0.
]]
local userId, bytesLeft = ARGV[1], tonumber(ARGV[2])
local quoted = '"' .. userId .. '"'

local function searchLog(log, from)
  local after, newest = from == '' and '-' or '(' .. from .. '-0', ''
  repeat
    local entries = redis.call('XRANGE', log, after, '+', 'COUNT', 64)
    for _, entry in ipairs(entries) do
      local fields, seq = entry[2], string.sub(entry[1], 1, -3)
      if fields[4] == userId or string.find(fields[10], quoted, 1, true) then
        newest = seq
      end
      after = '(' .. entry[1]
      bytesLeft = bytesLeft - #fields[10]
      if bytesLeft <= 0 then
        return newest, seq
      end
    end
  until #entries < 64
  return newest, ''
end

local function isNoted(people, notes)
  if redis.call('HEXISTS', people, userId) == 1 then
    return 1
  end
  for _, note in ipairs(redis.call('ZRANGE', notes, 0, -1)) do
    if string.match(note, '^%d+ %d+ avatar %S+ (.+)$') == userId then
      return 1
    end
  end
  return 0
end

local reply = {}
for i = 1, #KEYS, 3 do
  local newest, nextSeq = searchLog(KEYS[i], ARGV[3 + (i - 1) / 3])
  reply[#reply + 1] = newest
  reply[#reply + 1] = nextSeq
  reply[#reply + 1] = isNoted(KEYS[i + 1], KEYS[i + 2])
end
return reply
