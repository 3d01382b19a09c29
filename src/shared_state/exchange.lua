-- Adds what one replica has counted to what all have, and answers with what each counter came to.
-- Each key has four arguments: the kind of its counter, and three more as that kind names them.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2] -- microseconds: doubles are exact below 2^53

local function stored(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or ''
end

local function keep(key, value, milliseconds)
  redis.call('SET', key, value, 'PX', string.format('%.0f', math.max(math.ceil(milliseconds), 1)))
end

local kinds = {}

function kinds.due(key, add, view, most)
  local owed_until = tonumber(stored(key)) or now
  owed_until = math.min(math.max(math.max(owed_until, now) + add, now + view), now + most)
  local owed = owed_until - now
  if owed > 0 then keep(key, string.format('%.0f', owed_until), owed / 1000) end
  return owed
end

function kinds.sum(key, add, view, life)
  local sum = math.min(math.max((tonumber(stored(key)) or 0) + add, view), 9007199254740991)
  if sum > 0 then keep(key, string.format('%.0f', sum), life) end
  return sum
end

-- Kept until it has halved to less than 0.01, and for one half-life at least.
function kinds.decaying(key, add, view, half_life)
  local value, at = string.match(stored(key), '^(%S+) (%S+)$')
  value, at = tonumber(value) or 0, tonumber(at) or now
  value = math.max(value * 2 ^ (math.min(at - now, 0) / half_life) + add, view)
  if value > 0 then
    local half_lives = math.max(math.log(value / 0.01) / math.log(2), 1)
    keep(key, string.format('%.17g %.0f', value, now), half_lives * half_life / 1000)
  end
  return string.format('%.17g', value)
end

-- The 16 that were seen last.
function kinds.members(key, life, _, seen)
  local pairs = {}
  for word in string.gmatch(seen, '%x+') do
    pairs[#pairs + 1] = word
  end
  if #pairs > 0 then redis.call('ZADD', key, 'GT', unpack(pairs)) end
  redis.call('ZREMRANGEBYRANK', key, 0, -17)
  redis.call('PEXPIRE', key, string.format('%.0f', life))
  return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
end

local totals = {}
for i, key in ipairs(KEYS) do
  local kind, a, b, c = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  totals[i] = kinds[kind](key, tonumber(a), tonumber(b), tonumber(c) or c)
end
return totals
