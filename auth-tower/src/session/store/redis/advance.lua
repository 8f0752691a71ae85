-- ARGV: shift of the clock, retention, base of the keys, id, expected generation, expected seen (0, 1 or -1 for either),
-- distance to the last rotation (-1 for any), confirmed, current, idle time
local now, retention = clock(ARGV[1]), tonumber(ARGV[2])
local packed, stands = look(now, retention, ARGV[3], ARGV[4])
if not packed then
    return false
end
if stands ~= 'live' then
    return {now, stands == 'left' and 1 or 0, packed, 0}
end
local _, _, flags, current, _, created, _, rotated, _, absolute, _, epoch = struct.unpack(HEAD, packed)
local seen = tonumber(ARGV[6])
if current ~= tonumber(ARGV[5])
    or seen >= 0 and seen ~= flags % 2
    or flags >= ROTATED and math.abs(now - rotated) <= tonumber(ARGV[7])
then
    return {now, 0, packed, 0}
end
local idle = math.min(now + ARGV[10], absolute)
local moved = struct.pack(HEAD, FORMAT, 0, ROTATED, ARGV[9], ARGV[8], created, now, now, idle, absolute, 0, epoch)
    .. string.sub(packed, HEAD_LEN + 1)
redis.call('SET', KEYS[1], moved, 'PXAT', idle - ARGV[1] + retention)
redis.call('ZADD', ARGV[3] .. 'u:' .. subject_of(packed), idle, place_of(packed, ARGV[4]))
return {now, 0, packed, 1}
