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
