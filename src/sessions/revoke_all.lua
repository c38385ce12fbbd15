-- KEYS: index.
for _, key in ipairs(redis.call('HVALS', KEYS[1])) do redis.call('DEL', key) end
redis.call('DEL', KEYS[1])
