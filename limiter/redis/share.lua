-- Carries out a batch: see request.go for its form, and answer.go for that of the answer.
-- Times are in microseconds, and nanoseconds beside where there are any. All
-- numbers are whole, and exact up to 2^53.
local call, spread = redis.call, unpack
local pack, unpack = struct.pack, struct.unpack
local find, sub, format, concat = string.find, string.sub, string.format, table.concat
local floor, min, max = math.floor, math.min, math.max
local APPLIED, STALE, LATE, EARLY = 1, 2, 3, 4
local MOST, DAY, MINUTE, SILENCE = 9007199254740992, '86400000', 60000000, 600000000
local FILLER, NONE = string.rep(' ', 65), string.rep('\0', 56)

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
  -- Hashes whose windows are all over: see keep.
  key = prefix .. 'hashes'
  local over = call('ZRANGEBYSCORE', key, '-inf', format('%.0f', now / 1000 - 2000), 'LIMIT', '0', '1000')
  if #over > 0 then
    call('UNLINK', spread(over))
    call('ZREM', key, spread(over))
  end
  call('ZREMRANGEBYSCORE', key, '-inf', format('%.0f', now / 1000 - 62000)) -- what is left of these has expired
  call('PEXPIRE', key, DAY)
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
  local share = free / (2 * n)
  if want <= share then
    return want
  end
  return min(want, max(1, floor(share)))
end

-- digits keeps numbers as text, which else is made of them for each call.
local digits = setmetatable({}, { __index = function(t, n)
  local text = format('%d', n)
  t[n] = text
  return text
end })

-- keep has a hash kept until its last record is over. It is deleted by what says
-- that its node lives, in the background: one that expires would be freed at once,
-- however large it is. So it expires only where nobody does that, a minute later.
local function keep(key, left, expires)
  if left < expires + 59000 - now / 1000 then
    call('PEXPIREAT', key, digits[expires + 60000])
    call('ZADD', prefix .. 'hashes', digits[expires], key)
    call('PEXPIRE', prefix .. 'hashes', DAY)
  end
end

-- save writes fields of a hash. One field is so long that no hash is kept as a list,
-- which would be searched from its beginning for each field.
local function save(key, fields, expires)
  local left = call('PTTL', key)
  if left < 0 then
    fields[#fields + 1], fields[#fields + 2] = '', FILLER
  end
  call('HSET', key, spread(fields))
  keep(key, left, expires)
end

-- The sums of the windows of a limit that slides are kept once more, all in one
-- place, by their numbers: 8 windows that follow each other are a stretch. stretch
-- returns what is known of one.
local stretches = {}
local function stretch(width, number)
  local key = prefix .. 's' .. width .. digits[number]
  local t = stretches[key]
  if not t then
    t = { key = key, sums = {}, fields = {}, changed = {}, expires = 0 }
    stretches[key], stretches[#stretches + 1] = t, t
  end
  return t
end

-- A shape is what windows have in common: whether they are over or to come,
-- whether they grant, the hash of their records and until when it is kept, how many
-- before them count, and their number.
local function shape()
  local first, close, late, expires, before, number, asks, width, ends, after = unpack('<i8i8i8I6I2I7Bc8c8', batch, at)
  at = after
  local s = { key = prefix .. 'w' .. ends, expires = expires, before = before, number = number, grants = now < close and not fenced,
    counters = {}, windows = 0, fields = {}, changes = 0 }
  if now >= late then
    s.status = LATE
  elseif now < first then
    s.status = EARLY
  end
  if before > 0 and not s.status then
    s.first, s.last = floor(number / 8), floor(number / 8)
    if asks == 1 then
      s.asks, s.first, s.last = true, floor((number - before) / 8), floor((number + 1) / 8)
    end
    for i = s.first, s.last do
      s[i] = stretch(width, i)
    end
  end
  return s
end

local EIGHT = '<I7I7I7I7I7I7I7I7'
local function eight(a, b, c, d, e, f, g, h)
  return a + b + c + d + e + f + g + h
end

-- total returns the sum of some numbers of 7 bytes.
local function total(text, first, n)
  local sum, i = 0, first * 7 + 1
  while n >= 8 do
    sum, i, n = sum + eight(unpack(EIGHT, text, i)), i + 56, n - 8
  end
  while n > 0 do
    sum, i, n = sum + unpack('<I7', text, i), i + 7, n - 1
  end
  return sum
end

-- past returns the sum of a counter's windows before one, and of the one after: of that
-- and of the first only the larger, since no window holds both.
local function past(counter, s)
  local own, sum, first, after = s.number, 0, 0, 0
  for i = s.first, s.last do
    local known = s[i].sums[counter]
    if known then
      local begin = i * 8
      if i == s.first then
        first = unpack('<I7', known, (own - s.before - begin) * 7 + 1)
      end
      local a, b = max(own - s.before + 1 - begin, 0), min(own - 1 - begin, 7)
      sum = sum + total(known, a, b - a + 1)
      local k = own + 1 - begin
      if k >= 0 and k < 8 then
        after = unpack('<I7', known, k * 7 + 1)
      end
    end
  end
  return min(sum + max(first, after), MOST)
end

-- note notes the sum of a counter's window beside those of the others.
local function note(counter, s, sum)
  local i = floor(s.number / 8)
  local t, at = s[i], (s.number - i * 8) * 7
  local known = t.sums[counter] or NONE
  t.sums[counter] = pack('<c0I7c0', sub(known, 1, at), sum, sub(known, at + 8))
  t.changed[counter] = true
  if t.expires < s.expires then
    t.expires = s.expires
  end
end

-- A window's record is the sum of its registers. Then follow for each node 23 bytes:
-- its name, the number of its last assertion, its register.
local function window(counter, record, s)
  local low, high, register, want, limit = unpack('<I4I4I7I7I7', batch, at + 18)
  if s.status then
    return s.status, 0, 0, 0
  end
  local sum, mine, n, before, old = 0, nil, 1, 0, 0
  if s.asks then
    before = past(counter, s)
  end
  if record then
    sum = unpack('<I7', record)
    mine, n = entry(record, 8, 23), (#record - 7) / 23
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
  if register > MOST - sum then
    register = MOST - sum
  end
  sum = sum + register
  local granted = 0
  if want > 0 and s.grants then
    granted = min(grant(want, limit - sum - before, n), MOST - register)
    sum, register = sum + granted, register + granted
  end
  if n == 1 then
    record = pack('<I7c8I4I4I7', sum, node, low, high, register)
  elseif mine then
    record = pack('<I7c0I4I4I7c0', sum, sub(record, 8, mine + 7), low, high, register, sub(record, mine + 23))
  else
    record = pack('<I7c0c8I4I4I7', sum, sub(record, 8), node, low, high, register)
  end
  local i = s.changes
  s.fields[i + 1], s.fields[i + 2], s.changes = counter, record, i + 2
  if s.before > 0 then
    note(counter, s, sum)
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
-- held, when the first of that lapses, when the last, and until which millisecond the
-- record is kept. Then follow for each node 39 bytes: its name, the number of its last
-- assertion, its register, what it holds, until when.
local HEAD, ENTRY, SIZE = '<I7I7I2I7I7I7I6', '<c8I4I4I7I7I7I2', 39

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

local function bucket(key, record)
  local low, high, register, want, limit, rate, period, holds, micros, nanos, begin =
    unpack('<I4I4I7I7I7I7I8I7I7I2I7', batch, at + 16)
  local entries = ''
  local missing, filled, held, lapse, last, kept, all = 0, 0, 0, MOST, 0, 0, nil
  if record then
    local rest
    missing, filled, rest, held, lapse, last, kept = unpack(HEAD, record)
    entries = sub(record, 44)
    if lapse <= now then
      all = holders(entries)
    end
    filled = (filled - now) * 1000 + rest
    if filled >= 0 then
      filled = 0
    else
      missing, filled = refill(missing, filled, held, all, rate, period)
    end
  end
  local mine = entry(entries, 1, SIZE)
  local l, h, old, had, u, v
  if mine then
    l, h, old, had, u, v = unpack('<I4I4I7I7I7I2', entries, mine + 8)
  end
  if (low > 0 or high > 0) and not (mine and now - u < SILENCE) then
    entries, mine = heard(entries), nil
  end
  local n = #entries / SIZE
  if mine then
    if high < h or high == h and low <= l then
      return STALE, missing, 0, 0
    end
    local by = register - old
    if u > now or u == now and v > 0 then
      held = held - had
    elseif by < 0 then
      by = min(by + had, 0) -- what was held counts as spent, and refills already
    end
    missing = missing + by
    if missing < 0 then
      missing = 0
    elseif missing > MOST then
      missing = MOST
    end
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
  if now_held and missing < held + holds or missing < held then
    missing = min(held + (now_held and holds or 0), MOST)
  end
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
  local whole = floor(filled / 1000)
  -- It is kept for a minute longer than it matters, and then some, so that it is
  -- seldom said again how long.
  local ends = (max(now, last) + missing * period / rate / 1000 + MINUTE) / 1000
  if ends < kept and #record == #entries + 43 then
    call('SETRANGE', key, '0', pack(HEAD, missing, now + whole, filled - whole * 1000, held, lapse, last, kept) .. entries)
  else
    kept = min(floor(ends) + 60000, 9999999999999)
    call('SET', key, pack(HEAD, missing, now + whole, filled - whole * 1000, held, lapse, last, kept) .. entries,
      'PXAT', format('%.0f', kept))
  end
  return APPLIED, missing, 0, granted
end

local answers, kinds, kind, counters = {}, {}, {}, {}
for i = 1, shapes do
  kinds[i] = shape()
end
local begin = at
for i = 1, windows do
  local counter, number = unpack('<c16I2', batch, at)
  local s = kinds[number]
  kind[i], counters[i] = s, counter
  s.windows = s.windows + 1
  s.counters[s.windows] = counter
  if s.first then
    for j = s.first, s.last do
      local t = s[j]
      if t.sums[counter] == nil then
        t.sums[counter], t.fields[#t.fields + 1] = false, counter
      end
    end
  end
  at = at + 47
end
for i = 1, #stretches do
  local t = stretches[i]
  local known = call('HMGET', t.key, spread(t.fields))
  for j = 1, #known do
    t.sums[t.fields[j]] = known[j]
  end
end
for i = 1, shapes do
  local s = kinds[i]
  if not s.status then
    s.records, s.windows = call('HMGET', s.key, spread(s.counters)), 0
  end
end
at = begin
for i = 1, windows do
  local s = kind[i]
  local record
  if s.records then
    s.windows = s.windows + 1
    record = s.records[s.windows]
  end
  answers[i] = pack('<BI7I7I7', window(counters[i], record, s))
  at = at + 47
end
for i = 1, shapes do
  local s = kinds[i]
  if s.changes > 0 then
    save(s.key, s.fields, s.expires)
  end
end
for i = 1, #stretches do
  local t = stretches[i]
  if next(t.changed) then
    local fields = {}
    for counter in pairs(t.changed) do
      fields[#fields + 1], fields[#fields + 2] = counter, t.sums[counter]
    end
    save(t.key, fields, t.expires)
  end
end
if buckets > 0 then
  local keys = {}
  for i = 1, buckets do
    local begin = at + (i - 1) * 83
    keys[i] = prefix .. 'b' .. sub(batch, begin, begin + 15)
  end
  local records = call('MGET', spread(keys))
  for i = 1, buckets do
    answers[windows + i] = pack('<BI7I7I7', bucket(keys[i], records[i]))
    at = at + 83
  end
end
return pack('<I8c8BI2I4', now, epoch, (fenced and 1 or 0) + 2 * replicated, min(replicas, 65535), nodes) .. concat(answers)
