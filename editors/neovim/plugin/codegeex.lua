--- :CodeGeeX COMMAND. Nothing else happens until you call require('codegeex').setup().

vim.api.nvim_create_user_command('CodeGeeX', function(given)
  local commands = require('codegeex').commands
  local name, words = given.args:match('^(%S*)%s*(.-)%s*$')
  name = name == '' and 'status' or name
  if commands[name] then
    commands[name](given, words)
  else
    vim.notify(('CodeGeeX: no command "%s"; see :help :CodeGeeX'):format(name), vim.log.levels.ERROR)
  end
end, {
  nargs = '*',
  range = true,
  desc = 'CodeGeeX: completion by a model on your own machine',
  complete = function(start, line)
    if not line:match('CodeGeeX%s+%S*$') then
      return {}
    end
    return vim.tbl_filter(function(name)
      return vim.startswith(name, start)
    end, vim.fn.sort(vim.tbl_keys(require('codegeex').commands)))
  end,
})
