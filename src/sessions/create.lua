-- KEYS: record, index. ARGV: record, its expiry in seconds, public id, the expiry of the index, the maximum number of
-- sessions. Removes expired sessions from the index, or it would grow without bound, and ends the oldest.
local known, open = redis.call('HGETALL', KEYS[2]), {}
for i = 1, #known, 2 do
    local record = redis.call('GET', known[i + 1])
    if record then
        open[#open + 1] = {cjson.decode(record).created_at, known[i], known[i + 1]}
    else
        redis.call('HDEL', KEYS[2], known[i])
    end
end
table.sort(open, function(a, b) return a[1] < b[1] end)
for i = 1, #open - tonumber(ARGV[5]) + 1 do
    redis.call('HDEL', KEYS[2], open[i][2])
    redis.call('DEL', open[i][3])
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], KEYS[1])
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('EXPIRE', KEYS[2], ARGV[4]) end
