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
