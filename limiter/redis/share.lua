-- Carries out a batch: see request.go for its form, and answer.go for that of the answer.
-- Times are in microseconds, and nanoseconds beside where there are any. All
-- numbers are whole, and exact up to 2^53.
local call, spread = redis.call, unpack
local pack, unpack = struct.pack, struct.unpack
local byte, find, sub, format, concat = string.byte, string.find, string.sub, string.format, table.concat
local floor, min, max = math.floor, math.min, math.max
local APPLIED, STALE, LATE, EARLY = 1, 2, 3, 4
local MOST, DAY, MINUTE, SILENCE = 9007199254740992, '86400000', 60000000, 600000000
local FILLER = string.rep(' ', 65)

local prefix, batch = ARGV[1], ARGV[2]
local node, candidate, beat, fence, life, shapes, windows, flows, buckets, at = unpack('<c8c8BI8I8I2I2I2I2', batch)
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

-- entry returns where in a record the node's entry is, from a place on where its name is
-- part of something else; and nothing if it has none.
local function entry(record, head, size, i)
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
  elseif share < 1 then
    return 1
  end
  return share - share % 1
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

-- write writes fields of a hash, and returns for how long that is kept; below zero if
-- it is new. One field is so long that no hash is kept as a list, which would be searched
-- from its beginning for each field.
local function write(key, fields)
  local left = call('PTTL', key)
  if left < 0 then
    fields[#fields + 1], fields[#fields + 2] = '', FILLER
  end
  call('HSET', key, spread(fields))
  return left
end

-- Hashes of windows: which counters they are read for, their records, and what is to be
-- written, until when they are kept.
local hashes = {}
local function hash(key)
  local h = hashes[key]
  if not h then
    h = { key = key, counters = {}, records = {}, size = 0, fields = {}, changes = 0, expires = 0 }
    hashes[key], hashes[#hashes + 1] = h, h
  end
  return h
end

-- change has a hash get another record.
local function change(h, place, record)
  local i = h.changes
  h.records[place], h.fields[i + 1], h.fields[i + 2], h.changes = record, h.counters[place], record, i + 2
end

-- place returns where a hash has a counter's record, and where it will be once it is
-- read, and whether it has to be.
local function place(h, counter)
  local places = h.places
  if not places then
    places = {}
    for i = 1, h.size do
      places[h.counters[i]] = i
    end
    h.places, h.more = places, h.size + 1
  end
  local i = places[counter]
  if not i then
    i = h.size + 1
    h.size, h.counters[i], places[counter] = i, counter, i
  end
  return i
end

-- What slides has a state and a sum for each of its windows, 32 that follow each other in
-- one place, a stretch, by their numbers. A window that none is known to follow is OPEN: its sum
-- is in its own record alone, and that record has what is before it. So most assertions
-- have to do with one record only. All others are TOLD in the stretch as well.
local LENGTH, OPEN, TOLD, NOTHING = 32, '\1', '\2', string.rep('\0', 256)
local stretches = {}
local function stretch(width, number)
  local key = prefix .. 'p' .. width .. digits[number]
  local t = stretches[key]
  if not t then
    t = { key = key, known = {}, counters = {}, changed = {}, begin = number * LENGTH, expires = 0 }
    stretches[key], stretches[#stretches + 1] = t, t
  end
  return t
end

-- A shape is what windows have in common: whether they are over or to come,
-- whether they grant and up to what limit, the hash of their records and until when it
-- is kept, how many before them count, and their number.
local function shape()
  local first, close, late, expires, before, number, asks, limit, width, ends, after = unpack('<i8i8i8I6I2I7BI7c8c8', batch, at)
  at = after
  local s = { before = before, number = number, asks = asks == 1 and before > 0, limit = limit, grants = now < close and not fenced, expires = expires, head = 8 }
  if now >= late then
    s.status = LATE
  elseif now < first then
    s.status = EARLY
  elseif before > 0 then
    s.head, s.width, s.hash = 16, width, hash(prefix .. 's' .. width .. digits[number])
  else
    s.hash = hash(prefix .. 'w' .. ends)
  end
  if s.hash then
    s.hash.expires = max(s.hash.expires, expires)
  end
  return s
end

-- reach returns the stretches of all windows that one has to do with, in either direction.
local function reach(s)
  if not s.reach then
    s.reach = {}
    for i = floor((s.number - s.before) / LENGTH), floor((s.number + s.before) / LENGTH) do
      s.reach[#s.reach + 1] = stretch(s.width, i)
    end
  end
  return s.reach
end

-- note notes the state of a window and, in the stretch, its sum.
local function note(counter, s, number, state, sum)
  local t = stretch(s.width, floor(number / LENGTH))
  local known, i = t.known[counter] or NOTHING, number - t.begin
  t.known[counter] = pack('<c0c1c0I7c0', sub(known, 1, i), state, sub(known, i + 2, LENGTH + 7 * i), sum, sub(known, LENGTH + 7 * i + 8))
  t.changed[counter], t.expires = true, max(t.expires, s.expires)
end

-- others returns which of a counter's windows are open but for one, and whether there
-- is one that follows that.
local function others(counter, s)
  local open, followed = {}, false
  for i, t in ipairs(reach(s)) do
    local known = t.known[counter]
    if known then
      local own = s.number - t.begin + 1
      local found = find(known, OPEN, 1, true)
      while found and found <= LENGTH do
        if found ~= own then
          open[#open + 1] = t.begin + found - 1
        end
        found = find(known, OPEN, found + 1, true)
      end
      found = find(known, '[^%z]', max(own + 1, 1))
      followed = followed or found and found <= LENGTH and own < LENGTH
    end
  end
  return open, followed
end

local EIGHT = '<I7I7I7I7I7I7I7I7'
local function eight(a, b, c, d, e, f, g, h)
  return a + b + c + d + e + f + g + h
end

-- total returns the sum of n windows of a stretch.
local function total(known, first, n)
  local sum, i = 0, LENGTH + first * 7 + 1
  while n >= 8 do
    sum, i, n = sum + eight(unpack(EIGHT, known, i)), i + 56, n - 8
  end
  while n > 0 do
    sum, i, n = sum + unpack('<I7', known, i), i + 7, n - 1
  end
  return sum
end

-- past returns the sum of a counter's windows before one, and of the one after: of that
-- and of the first only the larger, since no window holds both. All of them are told.
local function past(counter, s)
  local own, sum, first, after = s.number, 0, 0, 0
  for i, t in ipairs(reach(s)) do
    local known = t.known[counter]
    if known then
      local f, k = own - s.before - t.begin, own + 1 - t.begin
      if f >= 0 and f < LENGTH then
        first = total(known, f, 1)
      end
      local a, b = max(f + 1, 0), min(k - 2, LENGTH - 1)
      sum = sum + total(known, a, b - a + 1)
      if k >= 0 and k < LENGTH then
        after = total(known, k, 1)
      end
    end
  end
  return min(sum + max(first, after), MOST)
end

-- answer returns what is answered: what is before a window only to who asks.
local function answer(s, status, sum, granted, before)
  if s.asks then
    return pack('<BI7I7I7', status, sum, granted, before)
  end
  return pack('<BI7I7', status, sum, granted)
end

-- A window's record is the sum of its registers; of one that slides then follow the sum of
-- those before it, as long as it is open, and whether it is not. Then follow for each node
-- 22 bytes: its name, the number of its last assertion, its register.
local function window(counter, s, i)
  local seq, register, want = unpack('<I7I7I7', batch, at + 18)
  local h, head = s.hash, s.head
  local record = h.records[i]
  local sum, mine, n, before, old = 0, nil, 1, 0, 0
  if record then
    if s.asks then
      sum, before = unpack('<I7I7', record)
    else
      sum = unpack('<I7', record)
    end
    mine, n = find(record, node, head, true), (#record + 1 - head) / 22
    if mine and (mine - head) % 22 ~= 0 then
      mine = entry(record, head, 22, mine)
    end
  end
  if mine then
    local last
    last, old = unpack('<I7I7', record, mine + 8)
    if seq <= last then
      return answer(s, STALE, sum, 0, before)
    end
  elseif seq == 0 then
    return answer(s, STALE, sum, 0, before)
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
    granted = grant(want, s.limit - sum - before, n)
    if granted > MOST - register then
      granted = MOST - register
    end
    sum, register = sum + granted, register + granted
  end
  if n == 1 and head == 8 then
    record = pack('<I7c8I7I7', sum, node, seq, register)
  elseif mine then
    record = pack('<I7c0I7I7c0', sum, sub(record, 8, mine + 7), seq, register, sub(record, mine + 22))
  else
    record = pack('<I7c0c8I7I7', sum, sub(record, 8), node, seq, register)
  end
  local at = h.changes
  h.records[i], h.fields[at + 1], h.fields[at + 2], h.changes = record, counter, record, at + 2
  if s.asks then
    return pack('<BI7I7I7', APPLIED, sum, granted, before)
  end
  return pack('<BI7I7', APPLIED, sum, granted)
end

-- slide does what window does, where something is known to follow the window, or it is not
-- known what is before it. What is open has its sum told first.
local function slide(counter, s, i)
  local open, followed = others(counter, s)
  for j, number in ipairs(open) do
    local h = hash(prefix .. 's' .. s.width .. digits[number])
    local k = place(h, counter)
    local record = h.records[k]
    if record then
      change(h, k, sub(record, 1, 14) .. TOLD .. sub(record, 16))
    end
    note(counter, s, number, TOLD, record and unpack('<I7', record) or 0)
  end
  local record, state = s.hash.records[i], followed and TOLD or OPEN
  local rest = pack('<I7c1', past(counter, s), state)
  s.hash.records[i] = record and sub(record, 1, 7) .. rest .. sub(record, 16) or '\0\0\0\0\0\0\0' .. rest
  local changes = s.hash.changes
  local said = window(counter, s, i)
  if s.hash.changes > changes then
    note(counter, s, s.number, state, followed and unpack('<I7', s.hash.records[i]) or 0)
  else
    s.hash.records[i] = record
  end
  return said
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

-- A bucket's record is what is missing, until when it was refilled, until which millisecond
-- the record is kept, and where in it nodes begin. If some of them hold something there
-- is first how much, when the first of that lapses, and when the last. Of each node there are
-- 36 bytes: its name, the number of its last assertion, its register, what it holds, until when.
local HEAD, HOLDS, FREE, HELD, SIZE = '<I7I7I2I6B', '<I7I7I7', 24, 45, 36
local ENTRY = 'c8I7I7I7I7'
local ALONE, HOLDER, AMONG = HEAD .. ENTRY, HEAD .. 'I7I7I7' .. ENTRY, HEAD .. 'c0' .. ENTRY .. 'c0'

-- holders returns what nodes hold, but for one, and for how many nanoseconds from now on.
local function holders(record, first, but)
  local all = {}
  for i = first, #record, SIZE do
    local holds, micros = unpack('<I7I7', record, i + 22)
    if holds > 0 and i ~= but then
      all[#all + 1] = { holds, (micros - now) * 1000, micros }
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
    from = lapse < 0 and lapse or 0
    local n, r = flow(from - filled, rate, period)
    if n >= missing - held then
      missing, filled = held, from
    elseif n > 0 then
      r = r / rate
      missing, filled = missing - n, from - (r - r % 1)
    end
  end
  return missing, filled
end

-- heard returns a record without nodes that were silent for too long.
local function heard(record, first)
  local all = { sub(record, 1, first - 1) }
  for i = first, #record, SIZE do
    if now - unpack('<I7', record, i + 29) < SILENCE then
      all[#all + 1] = sub(record, i, i + SIZE - 1)
    end
  end
  return concat(all)
end

-- All buckets are fields of one hash. What is to be written of them, how many are new, and
-- until when the one is kept that is kept the longest, of those where that has changed.
local pool, poured, pourings, added, latest = prefix .. 'buckets', {}, 0, 0, 0

local function bucket(counter, record, f)
  local seq, register, want, holds, micros, begin = unpack('<I7I7I7I7I7I7', batch, at + 18)
  local rate, period = f.rate, f.period
  local missing, filled, rest, kept, first, held, lapse, last = 0, 0, 0, 0, FREE, 0, MOST, 0
  local all, mine, n = nil, nil, 0
  local seen, old, had, heard_at
  if record then
    missing, filled, rest, kept, first = unpack(HEAD, record)
    if kept * 1000 <= now then -- it is over
      record, missing, filled, kept = false, 0, 0, 0
    end
  end
  if record then
    if first == HELD then
      held, lapse, last = unpack(HOLDS, record, FREE)
      if lapse <= now then
        all = holders(record, first)
      end
    end
    filled = (filled - now) * 1000 + rest
    local x = -filled * rate
    if filled >= 0 then
      filled = 0
    elseif all or x >= MOST then
      missing, filled = refill(missing, filled, held, all, rate, period)
    else -- as refill does
      local r = x % period
      local n = (x - r) / period
      if n >= missing - held then
        missing, filled = held, 0
      elseif n > 0 then
        missing, filled = missing - n, (r % rate - r) / rate
      end
    end
    mine = find(record, node, first, true)
    if mine and (mine - first) % SIZE ~= 0 then
      mine = entry(record, first, SIZE, mine)
    end
    if mine then
      seen, old, had, heard_at = unpack('<I7I7I7I7', record, mine + 8)
    end
    if seq > 0 and not (mine and now - heard_at < SILENCE) then
      record, mine = heard(record, first), nil
    end
    n = (#record + 1 - first) / SIZE
  end
  if mine then
    if seq <= seen then
      return pack('<BI7I7', STALE, missing, 0)
    end
    local by = register - old
    if heard_at > now then
      held = held - had
    elseif by < 0 then
      by = by + had -- what was held counts as spent, and refills already
      if by > 0 then
        by = 0
      end
    end
    missing = missing + by
    if missing < 0 then
      missing = 0
    elseif missing > MOST then
      missing = MOST
    end
  elseif seq == 0 then
    return pack('<BI7I7', STALE, missing, 0)
  else
    n = n + 1
    if missing < begin then
      missing = begin
    end
  end
  if all then
    all = holders(record, first, mine)
    held = outstanding(all, 0)
  end
  if micros > 0 and missing < held + holds then
    missing = min(held + holds, MOST)
  elseif missing < held then
    missing = held
  end
  local granted = 0
  if want > 0 then
    granted = grant(want, f.limit - missing, n)
    if granted > MOST - register then
      granted = MOST - register
    end
    missing, register, holds = missing + granted, register + granted, holds + granted
  end
  micros = now + micros
  if micros > MOST then
    micros = MOST
  end
  if holds > 0 then
    held = held + holds
    if lapse > micros then
      lapse = micros
    end
    if last < micros then
      last = micros
    end
    if all then
      all[#all + 1] = { holds, (micros - now) * 1000, micros }
    end
  end
  if all then
    held, rest, lapse = outstanding(all, filled)
  end
  if held >= MOST then
    held, lapse = MOST, 0 -- the sum is more than can be told: add it up again each time
  end
  -- It is kept for a minute longer than it matters, and then some, so that it is
  -- seldom to be said how long all of them are.
  local ends = ((last > now and last or now) + missing * period / rate / 1000 + MINUTE) / 1000
  if ends >= kept then
    kept = min(floor(ends) + 60000, 9999999999999)
    if latest < kept then
      latest = kept
    end
  end
  local whole = now
  rest = filled % 1000
  if filled < 0 then
    whole = now + (filled - rest) / 1000
  end
  local begins = held > 0 and HELD or FREE
  if not record then
    added = added + 1
  end
  if n == 1 and held == 0 then
    record = pack(ALONE, missing, whole, rest, kept, begins, node, seq, register, holds, micros)
  elseif n == 1 then
    record = pack(HOLDER, missing, whole, rest, kept, begins, held, lapse, last, node, seq, register, holds, micros)
  else
    local before = held > 0 and pack(HOLDS, held, lapse, last) or ''
    if mine then
      before = before .. sub(record, first, mine - 1)
    else
      before = before .. sub(record, first)
    end
    record = pack(AMONG, missing, whole, rest, kept, begins, before, node, seq, register, holds, micros,
      mine and sub(record, mine + SIZE) or '')
  end
  poured[pourings + 1], poured[pourings + 2], pourings = counter, record, pourings + 2
  return pack('<BI7I7', APPLIED, missing, granted)
end

-- sweep deletes buckets that are over. It looks at some of them, and the next time at
-- those that follow: at more than there are new, so that it keeps up with what is added.
local function sweep(some)
  local place = prefix .. 'sweep'
  local found = call('HSCAN', pool, call('GET', place) or '0', 'COUNT', digits[some])
  local records, over = found[2], {}
  for i = 1, #records, 2 do
    if records[i] ~= '' and unpack('<I6', records[i + 1], 17) * 1000 <= now then
      over[#over + 1] = records[i]
    end
  end
  if #over > 0 then
    call('HDEL', pool, spread(over))
  end
  if #records > 0 then
    call('SET', place, found[1], 'PX', DAY)
  end
end

local answers, shaped, kinds, places = {}, {}, {}, {}
for i = 1, shapes do
  shaped[i] = shape()
end
local flowing = {}
for i = 1, flows do
  local f = {}
  f.limit, f.rate, f.period, at = unpack('<I7I7I8', batch, at)
  flowing[i] = f
end
local begin = at
for i = 1, windows do
  local counter, number = unpack('<c16I2', batch, at)
  local s = shaped[number]
  local h = s.hash
  kinds[i] = s
  if h then
    h.size = h.size + 1
    places[i], h.counters[h.size] = h.size, counter
  end
  at = at + 39
end
for i = 1, #hashes do
  local h = hashes[i]
  h.records = call('HMGET', h.key, spread(h.counters))
end
at = begin
local slides, sliding = {}, {}
for i = 1, windows do
  local s = kinds[i]
  local h, j = s.hash, places[i]
  if not h then
    answers[i] = answer(s, s.status, 0, 0, 0)
  elseif s.before > 0 and (sliding[h.counters[j]] or not h.records[j] or byte(h.records[j], 15) ~= 1) then
    slides[#slides + 1], sliding[h.counters[j]] = i, true
  else
    answers[i] = window(h.counters[j], s, j)
  end
  at = at + 39
end
if #slides > 0 then
  local last = at
  for j, i in ipairs(slides) do
    local counter = kinds[i].hash.counters[places[i]]
    for k, t in ipairs(reach(kinds[i])) do
      if t.known[counter] == nil then
        t.known[counter], t.counters[#t.counters + 1] = false, counter
      end
    end
  end
  for i, t in ipairs(stretches) do
    local known = call('HMGET', t.key, spread(t.counters))
    for j = 1, #known do
      t.known[t.counters[j]] = known[j]
    end
  end
  for j, i in ipairs(slides) do
    local s = kinds[i]
    local counter = s.hash.counters[places[i]]
    for k, number in ipairs((others(counter, s))) do
      place(hash(prefix .. 's' .. s.width .. digits[number]), counter)
    end
  end
  for i, h in ipairs(hashes) do
    if h.more and h.more <= h.size then
      local more = call('HMGET', h.key, spread(h.counters, h.more))
      for j = 1, #more do
        h.records[h.more + j - 1] = more[j]
      end
    end
  end
  for j, i in ipairs(slides) do
    at = begin + (i - 1) * 39
    local s, j = kinds[i], places[i]
    answers[i] = slide(s.hash.counters[j], s, j)
  end
  at = last
  for i, t in ipairs(stretches) do
    if next(t.changed) then
      local fields = {}
      for counter in pairs(t.changed) do
        fields[#fields + 1], fields[#fields + 2] = counter, t.known[counter]
      end
      keep(t.key, write(t.key, fields), t.expires)
    end
  end
end
for i, h in ipairs(hashes) do
  if h.changes > 0 and h.expires == 0 then
    call('HSET', h.key, spread(h.fields)) -- it is kept already
  elseif h.changes > 0 then
    keep(h.key, write(h.key, h.fields), h.expires)
  end
end
if buckets > 0 then
  local begin, names, kinds = at, {}, {}
  for i = 1, buckets do
    local counter, number = unpack('<c16I2', batch, at)
    names[i], kinds[i] = counter, flowing[number]
    at = at + 60
  end
  at = begin
  local records = call('HMGET', pool, spread(names))
  for i = 1, buckets do
    answers[windows + i] = bucket(names[i], records[i], kinds[i])
    at = at + 60
  end
  if latest > 0 then
    local left = write(pool, poured)
    if left < latest - now / 1000 then
      call('PEXPIREAT', pool, digits[latest + 60000])
    end
  elseif pourings > 0 then
    call('HSET', pool, spread(poured))
  end
end
if beat == 1 or added > 0 then
  sweep(100 * beat + 4 * added)
end
return pack('<I8c8BI2I4', now, epoch, (fenced and 1 or 0) + 2 * replicated, min(replicas, 65535), nodes) .. concat(answers)
