-- KEYS: session, index, epochs. ARGV: offset of the clock, retention, id, idle time, absolute time, tail of the record
if redis.call('EXISTS', KEYS[1]) == 1 then
    return false
end
local now, retention = clock(ARGV[1]), tonumber(ARGV[2])
local absolute = now + ARGV[5]
local idle = math.min(now + ARGV[4], absolute)
local epochs = redis.call('GET', KEYS[3])
local epoch = epochs and struct.unpack('>I6', epochs, #epochs - 5) or 0
local remembered = redis.call('PTTL', KEYS[2])
-- Sessions that expired and are forgotten, a bounded number of them.
local forgotten = redis.call('ZCOUNT', KEYS[2], '-inf', string.format('(%.0f', now - retention))
if forgotten > 0 then
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, math.min(forgotten, 100) - 1)
end
local packed = struct.pack(HEAD, FORMAT, 0, 0, 1, 0, now, now, 0, idle, absolute, idle, epoch) .. ARGV[6]
redis.call('SET', KEYS[1], packed, 'PXAT', idle - ARGV[1] + retention)
redis.call('ZADD', KEYS[2], idle, place_of(packed, ARGV[3]))
if remembered < absolute - now + retention then
    redis.call('PEXPIRE', KEYS[2], absolute - now + retention)
end
return now
