--- Search in the workspace: what the server finds goes into the quickfix list, best first.

local server = require('codegeex.server')

local M = {}

local function item(place)
  return {
    filename = vim.uri_to_fname(place.uri),
    lnum = place.range.start.line + 1,
    text = place.title,
  }
end

---@param query string names, or a sentence
function M.open(_, query)
  server.ask('codegeex/search', { query = query }, function(found)
    local title = table.concat({ 'CodeGeeX: ' .. query, found.note }, '. ')
    vim.fn.setqflist({}, ' ', { title = title, items = vim.tbl_map(item, found.places) })
    if #found.places > 0 then
      vim.cmd('botright copen')
    else
      vim.notify(title .. ': nothing was found')
    end
  end)
end

return M
