-- ARGV: offset of the clock, retention, base of the keys, id
local now = clock(ARGV[1])
local packed, stands = look(now, tonumber(ARGV[2]), ARGV[3], ARGV[4])
if not packed then
    return false
end
return {now, LEFT[stands] or 0, packed}
