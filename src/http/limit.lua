-- KEYS: the limits. ARGV: for each limit its burst and its period in seconds. A key holds the theoretical arrival time
-- of GCRA, in milliseconds. Either all limits allow the request and count it, or one rejects it and none counts it.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local due, wait = {}, 0
for i, key in ipairs(KEYS) do
    local burst, period = tonumber(ARGV[2 * i - 1]), ARGV[2 * i] * 1000
    local last = tonumber(redis.call('GET', key) or now)
    due[i] = math.max(last, now) + math.floor(period / burst)
    wait = math.max(wait, due[i] - now - period)
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
    redis.call('SET', key, string.format('%.0f', due[i]), 'PX', due[i] - now)
end
return 0
