-- The script carries out a batch: see request.go for its form, answer.go for that of the answer,
-- and doc.go for the keys. Here are the store's life, and what windows and buckets share.
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
