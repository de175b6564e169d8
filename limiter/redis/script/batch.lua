-- Here the batch is carried out: all records are read, then changed, then written.
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
-- Of windows that slide, those that are not open come later, and what follows them in the
-- batch of the same counter.
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
-- Of these it is to be known what is before them, and what is open beside them.
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
