# Commands for gdb that is connected to `chronovisor gdb`. Load them with `source docs/chronovisor.gdb`, or start gdb with
# `-x docs/chronovisor.gdb`.

# gdb does not expect a monitor command to move the machine: what it remembers of registers and memory is thrown away after each.
define hookpost-monitor
  maintenance flush register-cache
  maintenance flush dcache
end

define seek
  monitor seek $arg0
  frame
end
document seek
Go to a position: a number, start, end, a percentage such as 50%, or the name of a bookmark.
end

define when
  monitor when
end
document when
Show the position and the guest's time.
end

define last-write
  eval "monitor last-write %p", &($arg0)
end
document last-write
Show who last wrote a variable before the present position.
end
