-- Carries out a batch: see request.go for its form, and answer.go for that of the answer.
-- Times are in microseconds, and nanoseconds beside where there are any. All
-- numbers are whole, and exact up to 2^53.
local call, spread = redis.call, unpack
local pack, unpack = struct.pack, struct.unpack
local find, sub, format, concat = string.find, string.sub, string.format, table.concat
local floor, min, max = math.floor, math.min, math.max
local APPLIED, STALE, LATE, EARLY = 1, 2, 3, 4
local MOST, DAY, MINUTE, SILENCE = 9007199254740992, '86400000', 60000000, 600000000

local prefix, batch = ARGV[1], ARGV[2]
local node, candidate, beat, fence, life, shapes, windows, buckets, at = unpack('<c8c8BI8I8I2I2I2', batch)
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

-- The epoch is that of the primary's data: another replication id, or no record of
-- it, tells that something may have been lost. A clock that is set back begins the
-- fence again.
local info = call('INFO', 'replication')
if not find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY this server is a replica')
end
local id = string.match(info, 'master_replid:(%x+)')
local _, replicas = string.gsub(info, 'state=online', '')
local record, epoch, since, replicated = call('GET', prefix .. 'epoch'), nil, now, 0
if record then
  local was
  was, epoch, since, replicated = unpack('<c40c8I8B', record)
  if was ~= id then
    epoch, replicated = nil, 0
  end
  if not epoch or since > now then
    record, since = nil, now
  end
end
if replicas > 0 and replicated == 0 then
  record, replicated = nil, 1
end
if not record then
  epoch = epoch or candidate
  call('SET', prefix .. 'epoch', pack('<c40c8I8B', id, epoch, since, replicated), 'PX', DAY)
end
local fenced = now - since < fence

local nodes = 0
if beat == 1 then
  local key, dead = prefix .. 'nodes', format('%.0f', now - life)
  call('ZADD', key, format('%.0f', now), node)
  call('ZREMRANGEBYSCORE', key, '-inf', dead)
  nodes = call('ZCARD', key)
  call('PEXPIRE', key, DAY)
  call('PEXPIRE', prefix .. 'epoch', DAY)
end

-- entry returns where in a record the node's entry is, and nothing if it has none.
local function entry(record, head, size)
  local i = find(record, node, head, true)
  while i and (i - head) % size ~= 0 do
    i = find(record, node, i + 1, true)
  end
  return i
end

-- grant returns what n nodes leave of free for one that wants some.
local function grant(want, free, n)
  if fenced or free <= 0 then
    return 0
  end
  return min(want, free, max(1, floor(free / (2 * n))))
end

-- digits keeps numbers as text, which else is made of them for each call.
local digits = setmetatable({}, { __index = function(t, n)
  local text = format('%d', n)
  t[n] = text
  return text
end })

-- A shape is what windows have in common: whether they are over or to come,
-- whether they grant, until when they are kept, how many before them count, and
-- the ends of all of these as keys have them.
local function shape()
  local first, close, late, expires, before, width, ends, after = unpack('<i8i8i8I6I2c8c8', batch, at)
  at = after
  local s = { ends = ends, expires = expires, before = before, grants = now < close and not fenced }
  if now >= late then
    s.status = LATE
  elseif now < first then
    s.status = EARLY
  end
  -- Those before end earlier by the width, by twice the width, ...
  local high, low = unpack('>I4I4', ends)
  local whigh, wlow = unpack('>I4I4', width)
  for i = 1, before do
    high, low = high - whigh, low - wlow
    if low < 0 then
      high, low = high - 1, low + 4294967296
    end
    s[i] = pack('>I4I4', high % 4294967296, low)
  end
  -- The one after counts too, or the first if that has more: no window holds both.
  high, low = unpack('>I4I4', ends)
  high, low = high + whigh, low + wlow
  if low > 4294967295 then
    high, low = high + 1, low - 4294967296
  end
  s[before + 1] = pack('>I4I4', high % 4294967296, low)
  return s
end

-- past returns the sum of the windows before one, and of the one after.
local function past(stem, s)
  local keys, sum = {}, 0
  for i = 1, s.before + 1 do
    keys[i] = stem .. s[i]
  end
  local records = call('MGET', spread(keys))
  for i = 1, s.before do
    if records[i] then
      sum = min(sum + unpack('<I7', records[i]), MOST)
    end
  end
  local last, after = records[s.before], records[s.before + 1]
  if after then
    sum = min(sum + max(unpack('<I7', after) - (last and unpack('<I7', last) or 0), 0), MOST)
  end
  return sum
end

-- A window's record is the sum of its registers, and when it expires, in
-- milliseconds. Then follow for each node 23 bytes: its name, the number of its last
-- assertion, its register.
local function window(key, record, s)
  local low, high, register, want, limit = unpack('<I4I4I7I7I7', batch, at + 18)
  if s.status then
    return s.status, 0, 0, 0
  end
  local sum, expires, mine, n, before, old = 0, 0, nil, 1, 0, 0
  if s.before > 0 then
    before = past(sub(key, 1, -9), s)
  end
  if record then
    sum, expires = unpack('<I7I6', record)
    mine, n = entry(record, 14, 23), (#record - 13) / 23
  end
  if mine then
    local l, h
    l, h, old = unpack('<I4I4I7', record, mine + 8)
    if high < h or high == h and low <= l then
      return STALE, sum, before, 0
    end
  elseif low == 0 and high == 0 then
    return STALE, sum, before, 0
  elseif record then
    n = n + 1
  end
  sum = sum - old -- before anything is added, lest it be more than can be told
  register = min(register, MOST - sum)
  sum = sum + register
  local granted = 0
  if want > 0 and s.grants then
    granted = min(grant(want, limit - sum - before, n), MOST - register)
    sum, register = sum + granted, register + granted
  end
  if mine == 14 then
    call('SETRANGE', key, '0', pack('<I7I6c8I4I4I7', sum, expires, node, low, high, register))
  elseif mine and mine < 128 then
    call('SETRANGE', key, '0', pack('<I7I6', sum, expires) .. sub(record, 14, mine + 7) .. pack('<I4I4I7', low, high, register))
  elseif mine then -- a second call costs less than to copy so much
    call('SETRANGE', key, digits[mine + 7], pack('<I4I4I7', low, high, register))
    call('SETRANGE', key, '0', pack('<I7', sum))
  elseif record then
    call('SET', key, pack('<I7I6', sum, expires) .. sub(record, 14) .. pack('<c8I4I4I7', node, low, high, register), 'KEEPTTL')
  else
    expires = s.expires
    call('SET', key, pack('<I7I6c8I4I4I7', sum, expires, node, low, high, register), 'PXAT', digits[expires])
  end
  if expires < s.expires then
    call('SETRANGE', key, '7', pack('<I6', s.expires))
    call('PEXPIREAT', key, digits[s.expires])
  end
  return APPLIED, sum, before, granted
end

-- flow returns how many units flow into a bucket in some nanoseconds, rate of them
-- in a period, and the remainder of that division. Both are exact for periods of
-- up to 2^53 nanoseconds, which are 104 days.
local function flow(nanos, rate, period)
  local x = nanos * rate
  if x < MOST then
    local r = x % period
    return (x - r) / period, r
  end
  local whole = floor(nanos / period)
  if whole * rate >= MOST then
    return MOST, 0
  end
  nanos = nanos - whole * period
  -- Multiplies by one digit of rate after the other, and divides at once.
  local n, r = 0, 0
  if period < 35184372088832 then -- 2^45, so that all stays below 2^53
    local digit = 562949953421312 -- 128^7
    while digit >= 1 do
      x = r * 128 + floor(rate / digit) % 128 * nanos
      r = x % period
      n, digit = n * 128 + (x - r) / period, digit / 128
    end
    return whole * rate + n, r
  end
  local function add(a)
    if r >= period - a then
      n, r = n + 1, r - (period - a)
    else
      r = r + a
    end
  end
  local digit = MOST
  while digit >= 1 do
    n = n * 2
    add(r)
    if floor(rate / digit) % 2 == 1 then
      add(nanos)
    end
    digit = digit / 2
  end
  return whole * rate + n, r
end

-- A bucket's record is what is missing, until when it was refilled, what of it is
-- held, when the first of that lapses, and when the last. Then follow for each node
-- 39 bytes: its name, the number of its last assertion, its register, what it
-- holds, until when.
local HEAD, ENTRY, SIZE = '<I7I7I2I7I7I7', '<c8I4I4I7I7I7I2', 39

-- holders returns what nodes hold, and for how many nanoseconds from now on.
local function holders(entries)
  local all = {}
  for i = 1, #entries, SIZE do
    local holds, micros, nanos = unpack('<I7I7I2', entries, i + 23)
    if holds > 0 then
      all[#all + 1] = { holds, (micros - now) * 1000 + nanos, micros }
    end
  end
  return all
end

-- outstanding returns what of that is held at a time, and when the first of it lapses.
local function outstanding(all, from)
  local held, lapse, micros = 0, MOST, MOST
  for i = 1, #all do
    local h = all[i]
    if h[2] > from then
      held, lapse, micros = min(held + h[1], MOST), min(lapse, h[2]), min(micros, h[3])
    end
  end
  return held, lapse, micros
end

-- refill returns what is missing now, and until when that was refilled; times are
-- in nanoseconds from now. What is held does not refill before it lapses.
local function refill(missing, filled, held, all, rate, period)
  local from = filled
  while from < 0 do
    local lapse = 0
    if all then
      held, lapse = outstanding(all, from)
    end
    from = min(lapse, 0)
    local n, r = flow(from - filled, rate, period)
    if n >= missing - held then
      missing, filled = held, from
    elseif n > 0 then
      missing, filled = missing - n, from - floor(r / rate)
    end
  end
  return missing, filled
end

-- heard returns the entries without those of nodes that were silent for too long.
local function heard(entries)
  local all = {}
  for i = 1, #entries, SIZE do
    if now - unpack('<I7', entries, i + 30) < SILENCE then
      all[#all + 1] = sub(entries, i, i + SIZE - 1)
    end
  end
  return concat(all)
end

local function bucket()
  local counter, low, high, register, want, limit, rate, period, holds, micros, nanos, begin, after =
    unpack('<c16I4I4I7I7I7I7I8I7I7I2I7', batch, at)
  at = after
  local key = prefix .. 'b' .. counter
  local record, entries = call('GET', key), ''
  local missing, filled, held, lapse, last, all = 0, 0, 0, MOST, 0, nil
  if record then
    local rest
    missing, filled, rest, held, lapse, last = unpack(HEAD, record)
    entries = sub(record, 38)
    if lapse <= now then
      all = holders(entries)
    end
    missing, filled = refill(missing, min((filled - now) * 1000 + rest, 0), held, all, rate, period)
  end
  local mine = entry(entries, 1, SIZE)
  if (low > 0 or high > 0) and not (mine and now - unpack('<I7', entries, mine + 30) < SILENCE) then
    entries, mine = heard(entries), nil
  end
  local n = #entries / SIZE
  if mine then
    local l, h, old, had, u, v = unpack('<I4I4I7I7I7I2', entries, mine + 8)
    if high < h or high == h and low <= l then
      return STALE, missing, 0, 0
    end
    local by = register - old
    if u > now or u == now and v > 0 then
      held = held - had
    elseif by < 0 then
      by = min(by + had, 0) -- what was held counts as spent, and refills already
    end
    missing = min(max(missing + by, 0), MOST)
  elseif low == 0 and high == 0 then
    return STALE, missing, 0, 0
  else
    missing, mine, n = max(missing, begin), #entries + 1, n + 1
  end
  micros = min(now + micros, MOST)
  local left, right = sub(entries, 1, mine - 1), sub(entries, mine + SIZE)
  local now_held = micros > now or nanos > 0
  if all then
    held = outstanding(holders(left .. right), 0)
  end
  missing = max(missing, min(held + (now_held and holds or 0), MOST))
  local granted = 0
  if want > 0 then
    granted = min(grant(want, limit - missing, n), MOST - register)
    missing, register, holds = missing + granted, register + granted, holds + granted
  end
  entries = left .. pack(ENTRY, node, low, high, register, holds, micros, nanos) .. right
  held = held + holds
  if all then
    held, _, lapse = outstanding(holders(entries), filled)
  elseif holds > 0 then
    lapse = min(lapse, micros)
  end
  if held >= MOST then
    held, lapse = MOST, 0 -- the sum is more than can be told: add it up again each time
  end
  if holds > 0 then
    last = max(last, micros)
  end
  local ends = (max(now, last) + missing * period / rate / 1000 + MINUTE) / 1000
  local whole = floor(filled / 1000)
  call('SET', key, pack(HEAD, missing, now + whole, filled - whole * 1000, held, lapse, last) .. entries,
    'PXAT', format('%.0f', min(floor(ends) + 1, 9999999999999)))
  return APPLIED, missing, 0, granted
end

local answers, kinds, keys, kind = {}, {}, {}, {}
for i = 1, shapes do
  kinds[i] = shape()
end
local stem, begin = prefix .. 'w', at
for i = 1, windows do
  kind[i] = kinds[unpack('<I2', batch, at + 16)]
  keys[i] = stem .. sub(batch, at, at + 15) .. kind[i].ends
  at = at + 47
end
if windows > 0 then
  local records = call('MGET', spread(keys))
  at = begin
  for i = 1, windows do
    answers[i] = pack('<BI7I7I7', window(keys[i], records[i], kind[i]))
    at = at + 47
  end
end
for i = windows + 1, windows + buckets do
  answers[i] = pack('<BI7I7I7', bucket())
end
return pack('<I8c8BI2I4', now, epoch, (fenced and 1 or 0) + 2 * replicated, min(replicas, 65535), nodes) .. concat(answers)
