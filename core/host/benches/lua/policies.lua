-- The decisions of the five default plugins with their default settings, as an operator would
-- write them for a switch that runs Lua. The benchmark provides `host`.

local policies = {}

-- Parsed rule sets, by handle.
local parsed = {}

local function rules_of(handle)
  local rules = parsed[handle]
  if rules then return rules end
  rules = {}
  for line in host.text(handle):gmatch("[^\n]+") do
    local pattern, result = line:match("^%s*(%S+)%s*%->%s*(%S*)%s*$")
    rules[#rules + 1] = { pattern = pattern, result = result }
  end
  -- The longest pattern first; `*` takes the rest.
  table.sort(rules, function(one, other)
    local a, b = one.pattern == "*" and 0 or #one.pattern, other.pattern == "*" and 0 or #other.pattern
    return a > b
  end)
  parsed[handle] = rules
  return rules
end

local function rewrite(handle, number)
  if handle == 0 then return number end
  for _, rule in ipairs(rules_of(handle)) do
    if rule.pattern == "*" then
      return (rule.result:gsub("%*", number))
    elseif number:sub(1, #rule.pattern) == rule.pattern then
      return rule.result .. number:sub(#rule.pattern + 1)
    end
  end
  return number
end

local function is_number(text)
  return #text >= 1 and #text <= 64 and text:find("^%+?[%w%*#%._%-]+$") ~= nil
end

function policies.numbering(question)
  local caller = rewrite(question.caller_rules, question.caller)
  local callee = rewrite(question.callee_rules, question.callee)
  if not is_number(callee) then return nil, 484 end
  if not is_number(caller) then caller = "" end
  local identity = question.identity
  if question.egress then
    identity = question.identity_rules == 0 and caller or rewrite(question.identity_rules, caller)
    callee = question.tech_prefix .. callee
  end
  return { caller = caller, callee = callee, identity = identity }
end

local limit, window, block_time = 4294967295, 3600, 3600

function policies.screening(question)
  local barred = host.longest_prefix("barred-callers", question.caller)
  if barred and not host.longest_prefix("allowed-callers", question.caller) then
    return 403
  end
  barred = host.longest_prefix("barred-destinations", question.callee)
  if barred then
    local allowed = host.longest_prefix("allowed-destinations", question.callee)
    if not allowed or allowed <= barred then return 403 end
  end
  local key = question.account .. "/" .. question.caller
  if host.count("block/" .. key, block_time) > 0 then return 403 end
  if host.add("calls/" .. key, window, 1) <= limit
    or host.longest_prefix("unlimited-callers", question.caller) then
    return 0
  end
  host.add("block/" .. key, block_time, 1)
  return 403
end

-- Lua numbers are exact up to 2^53, which is enough for amounts up to some 15,000 here.
function policies.rating(duration_ms, price_first, price_next, connect_fee, first, step,
                         free_s, minimum, unit_ms, mode, decimals, fee_unit)
  local units = math.floor(duration_ms / unit_ms)
  local rest = duration_ms % unit_ms
  if (mode == 0 and rest > 0) or (mode == 1 and rest * 2 >= unit_ms) then units = units + 1 end
  local charged_ms = math.max(units * unit_ms - free_s * 1000, 0)
  if charged_ms == 0 then return 0, 0 end
  if first < 1 then first = 1 end
  local beyond_ms = math.max(charged_ms - first * 1000, 0)
  local next_s = math.ceil(beyond_ms / (step * 1000)) * step
  local sixtieths = connect_fee * 60 + price_first * first + price_next * next_s
  sixtieths = math.max(sixtieths, minimum * 60)
  if fee_unit > 0 then
    return math.ceil(sixtieths / (fee_unit * 60)) * fee_unit, first + next_s
  end
  local unit = 10 ^ (10 - decimals)
  return math.floor((sixtieths * 2 + unit * 60) / (unit * 120)) * unit, first + next_s
end

local function before(one, other)
  if one.prefix_length ~= other.prefix_length then
    return one.prefix_length > other.prefix_length
  end
  if one.prefix_priority ~= other.prefix_priority then
    return one.prefix_priority < other.prefix_priority
  end
  if one.priority ~= other.priority then return one.priority < other.priority end
  local used = one.channels == 0 and 0 or one.active / one.channels
  local other_used = other.channels == 0 and 0 or other.active / other.channels
  if used ~= other_used then return used < other_used end
  if one.calls_today ~= other.calls_today then return one.calls_today < other.calls_today end
  return one.trunk < other.trunk
end

function policies.routing(question)
  local ordinary, reserve = {}, {}
  for _, candidate in ipairs(question.candidates) do
    local list = candidate.last_resort and reserve or ordinary
    list[#list + 1] = candidate
  end
  if #ordinary == 0 then ordinary, reserve = reserve, ordinary end
  local shortest = 0
  for _, candidate in ipairs(ordinary) do
    if not candidate.extend then shortest = math.max(shortest, candidate.prefix_length) end
  end
  table.sort(ordinary, before)
  table.sort(reserve, before)
  local order = {}
  for _, candidate in ipairs(ordinary) do
    if candidate.prefix_length >= shortest then order[#order + 1] = candidate.trunk end
  end
  for _, candidate in ipairs(reserve) do order[#order + 1] = candidate.trunk end
  return order
end

function policies.identity(question)
  local headers = {}
  if (not question.private or question.target_trusted)
    and question.asserted == "caller" and question.identity_out ~= "" then
    local user = question.identity_out:gsub("#", "%%23")
    headers[#headers + 1] = "P-Asserted-Identity"
    headers[#headers + 1] = "<sip:" .. user .. "@" .. question.host .. ">"
  end
  if question.privacy_mode == "id" then
    headers[#headers + 1], headers[#headers + 2] = "Privacy", "id"
  elseif question.privacy_mode == "pass" and question.private and question.privacy ~= "" then
    headers[#headers + 1], headers[#headers + 2] = "Privacy", question.privacy
  end
  if question.private or question.caller_out == "" then
    return { display = "Anonymous", user = "anonymous", host = "anonymous.invalid", headers = headers }
  end
  return {
    display = question.display:gsub("%c", ""),
    user = (question.caller_out:gsub("#", "%%23")),
    host = question.host,
    headers = headers,
  }
end

return policies
