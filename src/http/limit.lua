-- KEYS: the limits. ARGV: for each, how many at once, and in how many seconds they come back.
-- A key holds when, in milliseconds, its last request would have come at an even pace. All the
-- limits let the request pass and count it, or one refuses and none does.
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
