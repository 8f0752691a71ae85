-- The step, if it may be taken; what comes after this is for all other cases. It shares nothing with them, as a function costs
-- time to define even if it is not called. ARGV: shift of the clock, retention, base of the keys, id, expected generation,
-- expected seen (0, 1 or -1 for either), distance to the last rotation (-1 for any), confirmed, current, idle time
local call = redis.call
local packed = call('GET', KEYS[1])
if packed and #packed > 53 then
    local format, ended, flags, current, _, created, _, rotated, idle, absolute, _, epoch =
        struct.unpack('>BBBI4I4I6I6I6I6I6I6I6', packed)
    local seen = tonumber(ARGV[6])
    if format == 1 and ended == 0 and flags < 4 and current == tonumber(ARGV[5]) and (seen < 0 or seen == flags % 2) then
        local time = call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
        if now < idle and not (flags > 1 and math.abs(now - rotated) <= tonumber(ARGV[7])) then
            local next_idle = math.min(now + ARGV[10], absolute)
            local index = ARGV[3] .. 'u:' .. string.sub(packed, 55, 54 + string.byte(packed, 54))
            -- Nothing happens, and nothing is answered, if the session is not in the index: it was left behind.
            if call('ZADD', index, 'XX', 'INCR', next_idle - idle, string.sub(packed, 12, 17) .. ARGV[4]) then
                local moved = struct.pack(
                    '>BBBI4I4I6I6I6I6I6I6I6', 1, 0, 2, ARGV[9], ARGV[8], created, now, now, next_idle, absolute, 0, epoch
                )
                call('SET', KEYS[1], moved .. string.sub(packed, 54), 'PXAT', next_idle - ARGV[1] + ARGV[2])
                return {now, 0, packed, 1}
            end
        end
    end
end

