#!lua flags=allow-key-locking,allow-oom
--[[
Adds the counts of one flush of a process to the counts of the deployment. A repeated flush changes nothing.

KEYS[1] the counts, a hash
KEYS[2] the flush, a string

ARGV[1] seconds for which the flush is known
ARGV[2] … a field and a whole number, again and again

Replies 1, or 0 for a repeat.
]]
if not redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[1]) then
  return 0
end
for i = 2, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
