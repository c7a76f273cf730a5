#!lua flags=allow-key-locking,allow-oom
--[[
Looks in a part of a space's log for a person: as the actor of an entry, or named in its operations. Operations are never decoded. A
name between quotes in another place counts too, which does no harm: more is trimmed then.

KEYS[1] log of the incarnation, a stream, as append.lua writes it

ARGV[1] user id
ARGV[2] seq behind which to read, '' for the beginning
ARGV[3] bytes of operations after which to stop; one entry is read at least

Replies {the newest seq that names the person or '', the seq behind which to go on or ''}.
]]
local quoted = '"' .. ARGV[1] .. '"'
local after, bytesLeft = ARGV[2] == '' and '-' or '(' .. ARGV[2] .. '-0', tonumber(ARGV[3])
local newest = ''
repeat
  local entries = redis.call('XRANGE', KEYS[1], after, '+', 'COUNT', 64)
  for _, entry in ipairs(entries) do
    local fields, seq = entry[2], string.sub(entry[1], 1, -3)
    if fields[4] == ARGV[1] or string.find(fields[10], quoted, 1, true) then
      newest = seq
    end
    after = '(' .. entry[1]
    bytesLeft = bytesLeft - #fields[10]
    if bytesLeft <= 0 then
      return {newest, seq}
    end
  end
until #entries < 64
return {newest, ''}
