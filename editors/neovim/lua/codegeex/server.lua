--- The buffer's server, and the requests to it that you may cancel.

local M = {}

---@type table<integer, vim.lsp.Client> by the request's id
local running = {}

---@return vim.lsp.Client? the server, or nil after saying that there is none
function M.client()
  local found = vim.lsp.get_clients({ name = 'codegeex', bufnr = 0 })[1]
  if not found then
    vim.notify('CodeGeeX is not running in this buffer; see :checkhealth vim.lsp', vim.log.levels.WARN)
  end
  return found
end

--- Ask the server; `done` gets the answer, and you the sentence when there is none.
---@param done fun(answer: table)
---@return fun() # cancels it
function M.ask(method, params, done)
  local client = M.client()
  if not client then
    return function() end
  end
  -- The buffer's own number: for 0 Neovim 0.12.4 sends the request ahead of what was just typed.
  local buffer = vim.api.nvim_get_current_buf()
  local _, id = client:request(method, params, function(failure, answer, context)
    running[context.request_id] = nil
    if failure then
      vim.notify('CodeGeeX: ' .. failure.message, vim.log.levels.WARN)
    else
      done(answer)
    end
  end, buffer)
  if id then
    running[id] = client
  end
  return function()
    if running[id] then
      client:cancel_request(id)
      running[id] = nil
    end
  end
end

--- Cancel all that you asked for. Neovim itself swallows the answers to cancelled requests.
function M.cancel()
  for id, client in pairs(running) do
    client:cancel_request(id)
  end
  running = {}
end

return M
