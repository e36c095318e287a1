--- :CodeGeeX COMMAND. Nothing else happens until you call require('codegeex').setup().

vim.api.nvim_create_user_command('CodeGeeX', function(given)
  local commands = require('codegeex').commands
  local name = given.args == '' and 'status' or given.args
  if commands[name] then
    commands[name]()
  else
    local known = table.concat(vim.fn.sort(vim.tbl_keys(commands)), ', ')
    vim.notify(('CodeGeeX: no command "%s"; there are %s'):format(name, known), vim.log.levels.ERROR)
  end
end, {
  nargs = '?',
  desc = 'CodeGeeX: actions, ask, status, toggle, why',
  complete = function(start)
    return vim.tbl_filter(function(name)
      return vim.startswith(name, start)
    end, vim.fn.sort(vim.tbl_keys(require('codegeex').commands)))
  end,
})
