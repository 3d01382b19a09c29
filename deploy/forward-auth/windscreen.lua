-- Asks windscreen whether a request may be answered: `http-request lua.windscreen ADDRESS`. Sets txn.windscreen to
-- "yes" if so, and txn.renewed to a cookie for the browser.

-- What belongs to the connection, and what must say one thing only.
local OURS = {
    ["connection"] = true, ["content-length"] = true, ["transfer-encoding"] = true, ["expect"] = true,
    ["x-forwarded-method"] = true, ["x-forwarded-host"] = true, ["x-forwarded-uri"] = true,
}

core.register_action("windscreen", { "http-req" }, function(txn, address)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not OURS[name] then
            headers[name] = {}
            for number = 0, #values do
                headers[name][number + 1] = values[number]
            end
        end
    end
    headers["x-forwarded-method"] = { txn.sf:method() }
    headers["x-forwarded-host"] = headers["host"]
    headers["x-forwarded-uri"] = { txn.sf:pathq() }
    local ok, answer = pcall(function()
        return core.httpclient():get{ url = "http://" .. address .. "/.windscreen/check", headers = headers }
    end)
    if not ok or not answer or answer.status ~= 204 then
        return
    end
    txn:set_var("txn.windscreen", "yes")
    local renewed = answer.headers["set-cookie"]
    if renewed and renewed[0] then
        txn:set_var("txn.renewed", renewed[0])
    end
end, 1)
