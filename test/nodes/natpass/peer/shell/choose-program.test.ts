/** Which program a shell is, on each system. */
import t from 'tap'
import { chooseProgram } from '../../../../../src/nodes/natpass/peer/shell/choose-program.ts'

const PATH = '/usr/local/bin::/usr/bin:/bin'
const WINDOWS_PATH = 'C:\\Windows\\system32;;C:\\Windows'

const choose = (platform: string, files: string[], exec?: string) =>
  chooseProgram({ exec, platform, path: platform === 'win32' ? WINDOWS_PATH : PATH, exists: (file) => files.includes(file) })

t.test('Unix', async (t) => {
  for (const platform of ['linux', 'darwin', 'freebsd']) {
    t.equal(choose(platform, ['/bin/sh', '/bin/bash', '/usr/local/bin/sh']), '/bin/bash', 'bash, wherever it is')
    t.equal(choose(platform, ['/usr/bin/bash', '/bin/bash']), '/usr/bin/bash', 'in the order of PATH')
    t.equal(choose(platform, ['/bin/sh']), '/bin/sh')
    t.equal(choose(platform, []), undefined)
    t.equal(choose(platform, ['bash', '/bash']), undefined, 'not in the current folder')
    t.equal(choose(platform, ['/bin/bash'], ''), '/bin/bash', 'an empty one is none')
    t.equal(choose(platform, ['/bin/bash'], '/opt/my shell -l'), '/opt/my shell -l', 'a path is taken as it is, without arguments')
    t.equal(choose(platform, ['/bin/bash'], './zsh'), './zsh')
    t.equal(choose(platform, ['/usr/bin/zsh', '/bin/bash'], 'zsh'), '/usr/bin/zsh', 'a name is found in PATH')
    t.equal(choose(platform, ['/bin/bash'], 'zsh'), undefined, 'and not replaced by another one')
  }
  t.equal(chooseProgram({ platform: 'linux', path: undefined, exists: () => true }), undefined, 'no PATH')
})

t.test('Windows', async (t) => {
  const powershell = 'C:\\Windows\\powershell.exe'
  const cmd = 'C:\\Windows\\system32\\cmd.exe'
  t.equal(choose('win32', [cmd, powershell]), powershell)
  t.equal(choose('win32', [cmd]), cmd)
  t.equal(choose('win32', ['/bin/bash']), undefined)
  t.equal(choose('win32', [], 'D:\\tools\\nu.exe'), 'D:\\tools\\nu.exe')
  t.equal(choose('win32', [cmd], 'cmd'), cmd)
  t.equal(choose('win32', [cmd], 'cmd.exe'), cmd)
})
