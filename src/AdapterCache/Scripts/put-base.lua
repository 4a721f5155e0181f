-- KEYS: state, base
-- ARGV: record (json), epoch for a new index
if redis.call('GET', KEYS[2]) == ARGV[1] then
  return 0
end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'version', 1)
return 1
