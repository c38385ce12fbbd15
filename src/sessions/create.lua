-- KEYS: record, index. ARGV: record, its expiry in seconds, public id, the expiry of the index. Removes expired
-- sessions from the index, or it would grow without bound.
local known = redis.call('HGETALL', KEYS[2])
for i = 1, #known, 2 do
    if redis.call('EXISTS', known[i + 1]) == 0 then redis.call('HDEL', KEYS[2], known[i]) end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], KEYS[1])
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('EXPIRE', KEYS[2], ARGV[4]) end
