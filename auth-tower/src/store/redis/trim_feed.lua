-- KEYS: feed. ARGV: offset of the clock, retention, the most entries to remove
local before = clock(ARGV[1]) - ARGV[2]
local old, last = 0, nil
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[3])) do
    -- By the entry's field `at`, and by its number if it has none.
    local at
    for field = 1, #entry[2] - 1, 2 do
        at = at or entry[2][field] == 'at' and tonumber(entry[2][field + 1])
    end
    at = at or tonumber(string.match(entry[1], '^%d+'))
    if at >= before then
        break
    end
    old, last = old + 1, entry[1]
end
if old > 0 then
    local time, number = string.match(last, '^(%d+)-(%d+)$')
    redis.call('XTRIM', KEYS[1], 'MINID', time .. '-' .. string.format('%.0f', number + 1))
end
return old
