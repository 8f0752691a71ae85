-- The step, if it may be taken; the code after this is for all other cases. The two share no functions, because defining a
-- function takes time even if it is not called. ARGV: base of the keys, and packed, as each argument costs as much as many fields:
-- offset of the clock, retention, distance to the last rotation (-1 for any), idle time, expected seen (0, 1 or -1 for either),
-- expected generation, id, and what the record will begin with
local call = redis.call
local packed = call('GET', KEYS[1])
if packed and #packed > 53 then
    local format, ended, flags, current, _, created, _, rotated, idle, absolute, kept, _, length =
        struct.unpack('>BBBc4I4c6I6I6I6I6I6I6B', packed)
    local offset, retention, distance, stay, seen, expected, id, head = struct.unpack('>i8i8i8i8bc4c16c11', ARGV[2])
    if format == 1 and ended == 0 and flags < 4 and current == expected and (seen < 0 or seen == flags % 2) then
        local time = call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000) + offset
        if now < idle and not (flags > 1 and math.abs(now - rotated) <= distance) then
            local next_idle = now + stay
            if next_idle > absolute then
                next_idle = absolute
            end
            local index, place = ARGV[1] .. 'u:' .. string.sub(packed, 55, 54 + length), created .. id
            -- A session that is not in the index was left behind, and the step is not taken. A deadline that stays the same
            -- changes nothing in the index either. As a number it would be written with 17 digits, which takes longer;
            -- `%d` is too short for it on a machine of 32 bits.
            if call('ZADD', index, 'XX', 'CH', string.format('%.0f', next_idle), place) == 1 or call('ZRANK', index, place) then
                local moved = struct.pack('>c11c6I6I6I6', head, created, now, now, next_idle)
                if next_idle <= kept and kept <= next_idle + stay / 64 then
                    call('SETRANGE', KEYS[1], '0', moved)
                else
                    -- Beyond the deadline, so that most steps need not push it.
                    kept = math.min(next_idle + math.floor(stay / 64), absolute)
                    local whole = moved .. struct.pack('>I6I6', absolute, kept) .. string.sub(packed, 48)
                    call('SET', KEYS[1], whole, 'PXAT', kept - offset + retention)
                end
                return moved .. packed
            end
        end
    end
end

