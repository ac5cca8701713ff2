-- Sends prepared requests and keeps some of the answers; cli/bench/wrk.py writes and reads the files.
--
-- Arguments: how many threads, file of requests, `once` or `again`, keep each n-th answer (0: none),
-- file of answers. Threads share the requests out; with `once` none may run out of its own.

local threads = {}
local prepared, taken, again, keep, answers = {}, 0, false, 0, nil
seen, late, is_exhausted = 0, 0, false

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  local count, line_number = tonumber(args[1]), 0
  again, keep = args[3] == "again", tonumber(args[4])
  for line in io.lines(args[2]) do
    if again or line_number % count == number then
      local parts = {}
      for part in (line .. "\t"):gmatch("([^\t]*)\t") do
        table.insert(parts, part)
      end
      local headers = {}
      for position = 4, #parts, 2 do
        headers[parts[position]] = parts[position + 1]
      end
      table.insert(prepared, wrk.format(parts[1], parts[2], headers, parts[3]))
    end
    line_number = line_number + 1
  end
  if keep > 0 then
    answers = io.open(args[5] .. "." .. number, "w")
  else
    response = nil -- wrk is quicker when it need not hand answers over
  end
end

function request()
  taken = taken + 1
  if taken > #prepared then
    taken = again and 1 or #prepared
    is_exhausted = not again
  end
  return prepared[taken]
end

function response(status, headers, body)
  seen = seen + 1
  if body == "success" then
    late = late + 1
  elseif seen % keep == 0 then
    answers:write(status, "\t", (body:gsub("%s", " ")), "\n")
    answers:flush()
  end
end

function done(summary, latency, requests)
  local total_late, any_exhausted = 0, false
  for _, thread in ipairs(threads) do
    total_late = total_late + (thread:get("late") or 0)
    any_exhausted = any_exhausted or thread:get("is_exhausted")
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d, '
      .. '"timed_out": %d, "late": %d, "is_exhausted": %s}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status, errors.timeout, total_late,
    tostring(any_exhausted)))
end
