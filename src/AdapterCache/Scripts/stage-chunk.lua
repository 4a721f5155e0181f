-- Stores one chunk of weights that are too large for one command; they vanish unless committed in time.
-- KEYS: adapters, weights of this version
-- ARGV: id, version, chunks, chunk number, chunk, time to live (ms)
-- Returns 1 when this version is already committed and complete, else 0.
local stored = redis.call('HGET', KEYS[1], ARGV[1])
local committed = stored and string.match(stored, '^%d+ %-?%d+ (%S+)') == ARGV[2]
if committed and redis.call('HLEN', KEYS[2]) == tonumber(ARGV[3]) then
  return 1
end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
if not committed then
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
return 0
