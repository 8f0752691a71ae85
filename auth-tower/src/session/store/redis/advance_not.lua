local now = clock(ARGV[1])
local found, stands = look(now, tonumber(ARGV[2]), ARGV[3], ARGV[4])
if not found then
    return false
end
return {now, stands == 'left' and 1 or 0, found, 0}
