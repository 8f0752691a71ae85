-- KEYS: session, feed. ARGV: offset of the clock, retention, base of the keys, id, reason, id as text
local now, retention = clock(ARGV[1]), tonumber(ARGV[2])
local packed, stands = look(now, retention, ARGV[3], ARGV[4])
if not packed then
    return false
end
if stands == 'live' then
    local _, _, flags, current, confirmed, created, seen_at, rotated, idle, absolute, _, epoch = struct.unpack(HEAD, packed)
    local ended = struct.pack(
        HEAD, FORMAT, ARGV[5], flags, current, confirmed, created, seen_at, rotated, idle, absolute, now, epoch
    ) .. string.sub(packed, HEAD_LEN + 1)
    redis.call('XADD', KEYS[2], '*', 'session', ARGV[6], 'reason', ARGV[5], 'at', now)
    redis.call('SET', KEYS[1], ended, 'PXAT', now - ARGV[1] + retention)
    redis.call('ZREM', ARGV[3] .. 'u:' .. subject_of(packed), place_of(packed, ARGV[4]))
elseif stands == 'unreadable' and string.byte(packed) ~= 255 then
    -- Its access tokens may still be valid. The record is not understood, so it is kept whole behind a byte that marks it.
    redis.call('XADD', KEYS[2], '*', 'session', ARGV[6], 'reason', ARGV[5], 'at', now)
    redis.call('SET', KEYS[1], '\255' .. packed, 'KEEPTTL')
end
return {now, LEFT[stands] or 0, packed}
