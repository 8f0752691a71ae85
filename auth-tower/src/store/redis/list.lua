-- KEYS: index. ARGV: offset of the clock, base of the keys, routing bytes, limit, the longest index to sort here, and places
-- in the index if the caller sorted them
local now = clock(ARGV[1])
local LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

local function text_of(id)
    local text = {}
    for from = 1, #id, 3 do
        local a, b, c = string.byte(id, from, from + 2)
        local bits = a * 65536 + b * 256 + c
        for bit = 18, 0, -6 do
            local letter = math.floor(bits / 2 ^ bit) % 64 + 1
            text[#text + 1] = string.sub(LETTERS, letter, letter)
        end
    end
    return table.concat(text)
end

local places = {}
if ARGV[6] then
    for number = 6, #ARGV do
        if redis.call('ZSCORE', KEYS[1], ARGV[number]) then
            places[#places + 1] = ARGV[number]
        end
    end
else
    local after = string.format('(%.0f', now)
    if redis.call('ZCOUNT', KEYS[1], after, '+inf') > tonumber(ARGV[5]) then
        return {now}
    end
    places = redis.call('ZRANGE', KEYS[1], after, '+inf', 'BYSCORE')
    table.sort(places, function(one, other) return one > other end)
end
local found = {}
for number = 1, math.min(#places, tonumber(ARGV[4])) do
    local id = ARGV[3] .. string.sub(places[number], 7)
    local packed = redis.call('GET', ARGV[2] .. 's:' .. text_of(id))
    if packed then
        found[#found + 1] = id
        found[#found + 1] = packed
    end
end
return {now, found}
