-- KEYS: the networks that asked for a mailbox's emails of a kind, and when; the GCRA of the kind's emails a day, as in
-- http/limit.lua. ARGV: the network; the emails a day. Counts an email that may be sent and returns 1; else returns 0.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local WAIT, DAY = 600000, 86400000

local last = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local due = math.max(tonumber(redis.call('GET', KEYS[2]) or now), now) + math.floor(DAY / ARGV[2])
if now - last < WAIT or due - now > DAY then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], now)
redis.call('PEXPIRE', KEYS[1], WAIT)
redis.call('SET', KEYS[2], string.format('%.0f', due), 'PX', due - now)
return 1
