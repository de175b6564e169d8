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
