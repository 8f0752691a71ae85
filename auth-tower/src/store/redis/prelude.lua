-- The functions that every script shares. A record is a head of fixed width, whose fields the scripts read, and a tail, of
-- which they read only the subject's name.

local FORMAT = 1
-- format, ended, flags, current, confirmed, created, last seen, rotated, idle end, absolute end, ended at, epoch; while it
-- lives, in the place of its end: the idle end that its key is kept for
local HEAD = '>BBBI4I4I6I6I6I6I6I6I6'
local HEAD_LEN = 53
local SEEN, ROTATED = 1, 2

local function clock(offset)
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000) + offset
end

local function readable(packed)
    if #packed <= HEAD_LEN then
        return false
    end
    local format, _, flags = string.byte(packed, 1, 3)
    return format == FORMAT and flags <= SEEN + ROTATED
end

local function subject_of(packed)
    local from = HEAD_LEN + 2
    return string.sub(packed, from, from + string.byte(packed, HEAD_LEN + 1) - 1)
end

-- The place in the subject's index: the moment of creation, so that members sort by age, and the id.
local function place_of(packed, id)
    return string.sub(packed, 12, 17) .. id
end

-- When a session of this epoch was left behind; nil if that is longer ago than the epochs are remembered.
local function left_at(epochs, epoch)
    if not epochs or epoch < struct.unpack('>I6', epochs) then
        return nil
    end
    for from = 7, #epochs - 5, 6 do
        local number = struct.unpack('>I6', epochs, from)
        if number > epoch then
            return number
        end
    end
    return nil
end

-- How replies tell that a session was left behind, and whether its epoch is still remembered. The caller has to confirm it,
-- because a key that a cluster is moving looks as if it did not exist, and the server reports that only for keys in KEYS.
local LEFT = {left = 1, forgotten = 2}

-- The session of KEYS[1]: its record and how it stands ('live', 'over', 'left', 'forgotten' or 'unreadable'), or nothing.
local function look(now, retention, base, id)
    local packed = redis.call('GET', KEYS[1])
    if not packed then
        return nil
    end
    if not readable(packed) then
        return packed, 'unreadable'
    end
    local _, ended, _, _, _, _, _, _, idle, absolute, ended_at, epoch = struct.unpack(HEAD, packed)
    local subject = subject_of(packed)
    local over_at
    if ended ~= 0 then
        over_at = ended_at
    elseif not redis.call('ZSCORE', base .. 'u:' .. subject, place_of(packed, id)) then
        over_at = left_at(redis.call('GET', base .. 'e:' .. subject), epoch)
        return packed, over_at and over_at >= now - retention and 'left' or 'forgotten'
    else
        over_at = math.min(idle, absolute)
        if now < over_at then
            return packed, 'live'
        end
    end
    if over_at < now - retention then
        return nil
    end
    return packed, 'over'
end
