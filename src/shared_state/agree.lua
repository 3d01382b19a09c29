-- Compares a text with what one replica knows of it, by its first 32 characters, and answers with another one where it
-- is another. Where it is the same, the replica's new text takes its place, if it has one.

local text = redis.pcall('GET', KEYS[1])
if type(text) ~= 'string' then text = '' end
if string.sub(text, 1, 32) ~= ARGV[1] then return text end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return false
