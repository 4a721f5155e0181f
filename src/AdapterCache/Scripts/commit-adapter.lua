-- Stores the last chunk of the weights and makes the adapter visible.
-- KEYS: state, adapters, changes, weights of this version
-- ARGV: id, created (unix ms), version, record (json), chunks, last chunk, epoch for a new index
-- Returns {outcome, replaced version}; outcome 1 changed, 0 nothing to change, -1 chunks are missing: send them again.
local stored = redis.call('HGET', KEYS[2], ARGV[1])
local sequence, replaced, body
if stored then
  local s, _, v, b = string.match(stored, '^(%d+) (%-?%d+) (%S+) (.*)$')
  sequence, replaced, body = s, v, b
end
if body == ARGV[4] and redis.call('HLEN', KEYS[4]) == tonumber(ARGV[5]) then
  return {0, ''}
end
redis.call('HSET', KEYS[4], string.format('%d', tonumber(ARGV[5]) - 1), ARGV[6])
if redis.call('HLEN', KEYS[4]) ~= tonumber(ARGV[5]) then
  return {-1, ''}
end
redis.call('PERSIST', KEYS[4])
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[7])
local version = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'version', 1))
redis.call('HSET', KEYS[2], ARGV[1], (sequence or version) .. ' ' .. ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
redis.call('ZADD', KEYS[3], version, ARGV[1])
if replaced and replaced ~= ARGV[3] then
  return {1, replaced}
end
return {1, ''}
