--- Ghost text: accept it whole, by word or by line, walk through it, ask for it.
--- Each function tells whether there was something to do, for keys with an <expr> mapping.

local server = require('codegeex.server')

local M = {}

local inline = vim.lsp.inline_completion

--- What `item` still has to insert behind the cursor: some items repeat what stands before it.
---@return string[] lines, integer row, integer column all counted from 0
local function behind_cursor(item)
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  row = row - 1
  local text = item.insert_text
  if item.range then
    local start_row, start_column = item.range:to_extmark()
    if start_row == row then
      text = text:sub(column - start_column + 1)
    end
  end
  return vim.split(text, '\n'), row, column
end

---@param take fun(lines: string[]): string[] the part to accept
local function accept_part(take)
  return inline.get({
    on_accept = function(item)
      local lines, row, column = behind_cursor(item)
      local part = take(lines)
      vim.api.nvim_buf_set_text(0, row, column, row, column, part)
      local start = #part == 1 and column or 0
      vim.api.nvim_win_set_cursor(0, { row + #part, start + #part[#part] })
    end,
  })
end

function M.accept()
  return inline.get()
end

--- Up to the end of the next word; a line break counts as the blank before it.
function M.accept_word()
  return accept_part(function(lines)
    if lines[1]:match('^%s*$') and lines[2] then
      return { lines[1], lines[2]:match('^%s*[%w_\128-\255]+') or lines[2]:match('^%s*.?') }
    end
    return { lines[1]:match('^%s*[%w_\128-\255]+') or lines[1]:match('^%s*[^%w%s]+') or lines[1] }
  end)
end

function M.accept_line()
  return accept_part(function(lines)
    return lines[1] == '' and lines[2] and { '', lines[2] } or { lines[1] }
  end)
end

--- Hide it: nothing of it is taken.
function M.dismiss()
  return inline.get({ on_accept = function() end })
end

local function move(count)
  if next(vim.lsp.get_clients({ name = 'codegeex', bufnr = 0 })) == nil then
    return false
  end
  inline.select({ count = count })
  return true
end

function M.next()
  return move(1)
end

function M.previous()
  return move(-1)
end

--- Ask for several suggestions here. Neovim has no public call for a request that the user invoked;
--- this is the one its own module uses.
---@param kind? integer LSP's InlineCompletionTriggerKind; Invoked when left out
function M.ask(kind)
  local found, capability = pcall(require, 'vim.lsp._capability')
  local completor = found and capability.all.inline_completion.active[vim.api.nvim_get_current_buf()]
  if not completor then
    return false
  end
  completor:request(kind or vim.lsp.protocol.InlineCompletionTriggerKind.Invoked)
  return true
end

--- The model is ready: ask once more if the server says that the last request came too early.
---@param client vim.lsp.Client
function M.model_is_ready(client)
  if client.attached_buffers[vim.api.nvim_get_current_buf()] and vim.fn.mode() == 'i' then
    local here = vim.lsp.util.make_position_params(0, client.offset_encoding)
    server.ask('codegeex/why', here, function(why)
      if why.askAgain then
        M.ask(why.askAgain)
      end
    end)
  end
end

return M
