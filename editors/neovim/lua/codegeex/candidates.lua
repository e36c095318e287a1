--- Several completions side by side in a window of their own, as the server finds them.

local server = require('codegeex.server')

local M = {}

local HELP = 'CodeGeeX: <CR> takes the completion under the cursor, q closes'

local places = vim.api.nvim_create_namespace('codegeex.candidates')
local tokens = 0

---@class codegeex.Panel
---@field source integer the buffer to insert into
---@field mark integer the place in it, which moves along with edits
---@field buffer integer the window's own buffer
---@field texts table<integer, string> the completion that a line of the window belongs to
---@field known table<string, boolean>
---@field cancel fun() nobody waits for more
local Panel = {}
Panel.__index = Panel

--- Split the window; the place to insert at is counted from 0.
function Panel.open(row, column, token, cancel)
  local source = vim.api.nvim_get_current_buf()
  local self = setmetatable({
    source = source,
    mark = vim.api.nvim_buf_set_extmark(source, places, row, column, {}),
    buffer = vim.api.nvim_create_buf(false, true),
    texts = {},
    known = {},
    cancel = cancel,
  }, Panel)
  vim.bo[self.buffer].bufhidden = 'wipe'
  vim.bo[self.buffer].syntax = vim.bo[source].syntax
  vim.cmd.stopinsert()
  vim.cmd('belowright split')
  vim.api.nvim_win_set_buf(0, self.buffer)
  vim.wo.winbar = HELP
  vim.keymap.set('n', '<CR>', function()
    self:take()
  end, { buffer = self.buffer, desc = 'Take this completion' })
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = self.buffer, desc = 'Close' })
  self:listen(token)
  return self
end

--- Add what the server finds until the window is closed.
function Panel:listen(token)
  local listener = vim.api.nvim_create_autocmd('LspProgress', {
    callback = function(event)
      if event.data.params.token == token then
        self:add(event.data.params.value.items)
      end
    end,
  })
  vim.api.nvim_create_autocmd('BufWipeout', {
    buffer = self.buffer,
    callback = function()
      vim.api.nvim_del_autocmd(listener)
      self.cancel()
      if vim.api.nvim_buf_is_valid(self.source) then
        vim.api.nvim_buf_del_extmark(self.source, places, self.mark)
      end
    end,
  })
end

function Panel:add(items)
  for _, item in ipairs(items) do
    if not self.known[item.text] and vim.api.nvim_buf_is_valid(self.buffer) then
      self.known[item.text] = true
      local lines = vim.split(item.text, '\n')
      table.insert(lines, 1, ('--- %d, %s'):format(vim.tbl_count(self.known), item.source))
      local first = #self.texts
      vim.api.nvim_buf_set_lines(self.buffer, first, first == 0 and -1 or first, false, lines)
      for row = first + 1, first + #lines do
        self.texts[row] = item.text
      end
    end
  end
end

--- Insert the completion under the cursor and close.
function Panel:take()
  local text = self.texts[vim.api.nvim_win_get_cursor(0)[1]]
  if text then
    local row, column =
      unpack(vim.api.nvim_buf_get_extmark_by_id(self.source, places, self.mark, {}))
    vim.api.nvim_buf_set_text(self.source, row, column, row, column, vim.split(text, '\n'))
    vim.cmd.close()
  end
end

--- Where to insert: in insert mode at the cursor, in normal mode behind the character under it.
local function place()
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local line = vim.api.nvim_get_current_line()
  if vim.api.nvim_get_mode().mode == 'n' then
    column = column + #vim.fn.strpart(line, column, 1, true)
  end
  return row - 1, column, line
end

function M.open()
  local client = server.client()
  if not client then
    return
  end
  local row, column, line = place()
  tokens = tokens + 1
  local token = 'codegeex-candidates-' .. tokens
  local panel
  local cancel = server.ask('codegeex/candidates', {
    textDocument = vim.lsp.util.make_text_document_params(0),
    position = {
      line = row,
      character = vim.str_utfindex(line, client.offset_encoding, column, false),
    },
    partialResultToken = token,
  }, function(answer)
    panel:add(answer.items)
    if #answer.items == 0 then
      vim.notify('CodeGeeX has no completion here')
    end
  end)
  panel = Panel.open(row, column, token, cancel)
end

return M
