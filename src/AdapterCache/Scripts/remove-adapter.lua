-- KEYS: state, adapters, changes
-- ARGV: id
-- Returns the removed version, or an empty string when the adapter was unknown.
local stored = redis.call('HGET', KEYS[2], ARGV[1])
if not stored then
  return ''
end
redis.call('HDEL', KEYS[2], ARGV[1])
local version = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'version', 1))
redis.call('ZADD', KEYS[3], version, ARGV[1])
return string.match(stored, '^%d+ %-?%d+ (%S+)')
