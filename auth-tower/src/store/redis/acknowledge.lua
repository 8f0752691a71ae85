-- ARGV: offset of the clock, retention, base of the keys, id, generation
local now = clock(ARGV[1])
local packed, stands = look(now, tonumber(ARGV[2]), ARGV[3], ARGV[4])
if stands ~= 'live' then
    return 0
end
local _, _, flags, current, confirmed, created, _, rotated, idle, absolute, kept, epoch = struct.unpack(HEAD, packed)
if current ~= tonumber(ARGV[5]) or flags % 2 == SEEN then
    return 0
end
local acknowledged = struct.pack(
    HEAD, FORMAT, 0, flags + SEEN, current, confirmed, created, now, rotated, idle, absolute, kept, epoch
) .. string.sub(packed, HEAD_LEN + 1)
redis.call('SET', KEYS[1], acknowledged, 'KEEPTTL')
return 1
