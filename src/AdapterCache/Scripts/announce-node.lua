-- Takes or renews a node's lease, and forgets nodes whose lease ended.
-- KEYS: nodes, node
-- ARGV: id, record (json), lease (ms)
-- Returns 1 when the node was not announced like this before.
local changed = redis.call('GET', KEYS[2]) ~= ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
return changed and 1 or 0
