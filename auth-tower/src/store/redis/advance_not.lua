local offset, retention = struct.unpack('>i8i8', ARGV[2])
local now = clock(offset)
local found, stands = look(now, retention, ARGV[1], string.sub(ARGV[2], 38, 53))
if not found then
    return false
end
return {now, LEFT[stands] or 0, found}
