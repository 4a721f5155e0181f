-- Lets the weights of a version that is no longer current expire.
-- KEYS: adapters, weights of that version
-- ARGV: id, version, time to live (ms)
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and string.match(stored, '^%d+ %-?%d+ (%S+)') == ARGV[2] then
  return 0
end
return redis.call('PEXPIRE', KEYS[2], ARGV[3])
