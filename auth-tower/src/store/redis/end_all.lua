-- KEYS: index, epochs, feed, and the session to keep, if any. ARGV: offset of the clock, retention, subject, key of the
-- subject, reason, id to keep, the same as text
local now, retention = clock(ARGV[1]), tonumber(ARGV[2])
local live = redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now), '+inf')
local remembered = redis.call('PTTL', KEYS[1])
local epochs = redis.call('GET', KEYS[2]) or struct.pack('>I6', 0)
local number = math.max(now, struct.unpack('>I6', epochs, #epochs - 5) + 1)

local kept, place, until_when
local packed = KEYS[4] and redis.call('GET', KEYS[4])
if packed and readable(packed) and subject_of(packed) == ARGV[3] then
    local _, ended, flags, current, confirmed, created, seen_at, rotated, idle, absolute, ended_at = struct.unpack(HEAD, packed)
    place = place_of(packed, ARGV[6])
    if ended == 0 and now < math.min(idle, absolute) and redis.call('ZSCORE', KEYS[1], place) then
        until_when = idle
        kept = struct.pack(
            HEAD, FORMAT, ended, flags, current, confirmed, created, seen_at, rotated, idle, absolute, ended_at, number
        ) .. string.sub(packed, HEAD_LEN + 1)
    end
end

redis.call('XADD', KEYS[3], '*', 'subject', ARGV[4], 'keep', kept and ARGV[7] or '', 'reason', ARGV[5], 'at', now)
if remembered ~= -2 then
    -- A session that is not in the index is left behind, so no step is needed for each. Another thread frees the memory.
    redis.call('UNLINK', KEYS[1])
    if kept then
        redis.call('SET', KEYS[4], kept, 'KEEPTTL')
        redis.call('ZADD', KEYS[1], until_when, place)
        redis.call('PEXPIRE', KEYS[1], math.max(remembered, 1))
    end
    -- The first number is the horizon: sessions of earlier epochs are forgotten.
    local from = 7
    while from < #epochs
        and (struct.unpack('>I6', epochs, from) < now - retention or #epochs - from > 6 * 63)
    do
        from = from + 6
    end
    epochs = string.sub(epochs, from - 6) .. struct.pack('>I6', number)
    redis.call('SET', KEYS[2], epochs, 'PXAT', number - ARGV[1] + retention)
end
return {now, live - (kept and 1 or 0)}
