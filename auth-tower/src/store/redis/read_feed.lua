-- KEYS: feed. ARGV: offset of the clock, id to begin with, number of entries
return {clock(ARGV[1]), redis.call('XRANGE', KEYS[1], ARGV[2], '+', 'COUNT', ARGV[3])}
