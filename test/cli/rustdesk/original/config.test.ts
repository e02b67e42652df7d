/** The file of `hbbs -c`. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from '../../../../src/cli/command.ts'
import { load, type LoadedProgram } from '../../../../src/cli/config/load.ts'
import type { Flags } from '../../../../src/cli/config/settings.ts'
import { RELAY_PROTOCOLS } from '../../../../src/cli/protocols.ts'
import { createRelayCommand } from '../../../../src/cli/relay-command.ts'
import { hbbsIni, parseHbbsIni } from '../../../../src/cli/rustdesk/original/config.ts'
import type { RustdeskRelaySettings } from '../../../../src/cli/rustdesk/settings.ts'
import { complaint } from '../../../helpers/cli/complaint.ts'

const FILE = `; hbbs
port = 22116
KEY=a licence
Bind=127.0.0.1
relay_servers = a.example,b.example:5
rendezvous-servers=c.example
SERIAL=4
software-url=https://example.org/rustdesk-1.2.3
mask=10.0.0.0/8
local-ip=10.0.0.1
always-use-relay=y
DB_URL=sqlite://peers.sqlite3
rmem=1048576
`

function loaded (...argv: string[]): LoadedProgram & { rustdesk: RustdeskRelaySettings } {
  let flags: Flags | undefined
  parse(createRelayCommand((given) => { flags = given }, () => {}), argv)
  const program = load({ program: 'relay', protocols: RELAY_PROTOCOLS, flags: flags as Flags })
  return { ...program, rustdesk: program.services[0].settings as RustdeskRelaySettings }
}

const fileOf = (t: Test, name: string, text: string): string => join(t.testdir({ [name]: text }), name)

t.test('a file with every name', async (t) => {
  const { values, warnings, isForeign } = parseHbbsIni('hbbs.ini', FILE)
  t.same(warnings, [])
  t.equal(isForeign, true)
  t.same(values, {
    rustdesk: {
      port: '22116',
      key: 'a licence',
      bind: '127.0.0.1',
      'relay-servers': 'a.example,b.example:5',
      'rendezvous-servers': 'c.example',
      serial: '4',
      'software-url': 'https://example.org/rustdesk-1.2.3',
      mask: '10.0.0.0/8',
      'local-ip': '10.0.0.1',
      'always-use-relay': true,
      database: 'sqlite://peers.sqlite3',
      rmem: '1048576'
    }
  })
})

t.test('options win over it, and -c takes YAML as well', async (t) => {
  const file = fileOf(t, 'hbbs.ini', FILE)
  const { rustdesk, services, warnings } = loaded('rustdesk', '-c', file, '--serial', '7')
  t.match(rustdesk, { port: 22116, relayPort: 21117, key: 'a licence', bind: '127.0.0.1', relayServers: ['a.example', 'b.example:5'], serial: 7, alwaysUseRelay: true, mask: '10.0.0.0/8', localIp: '10.0.0.1', database: 'peers.sqlite3' })
  t.match(services, [{ isForeign: true, protocol: { name: 'rustdesk' } }])
  t.same(services.length, 1)
  t.same(warnings, [])
  t.match(loaded('rustdesk', '-c', fileOf(t, 'relay.yaml', 'rustdesk: { serial: 3 }')).rustdesk, { serial: 3, port: 21116 })
  t.match(loaded('rustdesk', '--config', fileOf(t, 'colons.ini', 'port: 22116\nkey:\n')).rustdesk, { port: 22116, key: '' })
})

t.test('what is empty is none, but for the key', async (t) => {
  t.same(parseHbbsIni('f', 'key=\nbind=\nrelay-servers=\nmask = ""').values, { rustdesk: { key: '' } })
})

t.test('warnings', async (t) => {
  t.same(parseHbbsIni('f', 'relay-server=a\nTEST_HBBS=no\nport=1\nport=2\nnonsense\n[hbbs]\nkey=x').warnings, [
    'f:1: unknown name, it is ignored (did you mean RELAY_SERVERS?)',
    'f:2: TEST_HBBS is ignored: the server does not ask itself',
    'f:3: PORT is ignored: it is given again on line 4, and the last one counts',
    'f:5: ignored, expected NAME=VALUE, and no section',
    'f:6: ignored, expected NAME=VALUE, and no section',
    'f:7: ignored, expected NAME=VALUE, and no section'
  ])
  t.match(parseHbbsIni('f', 'unheard=1\n'.repeat(30)).warnings, { length: 21, 20: 'f: 10 more warnings' })
})

t.test('a wrong value is named by its line, and no key is repeated', async (t) => {
  const wrong = (text: string): string => {
    const file = fileOf(t, 'hbbs.ini', text)
    return complaint(t, () => loaded('rustdesk', '-c', file)).replace(file, 'F')
  }
  t.equal(wrong('# x\nport=high'), 'F:2: PORT: not a whole number in range ("high"), expected 0 to 65533')
  t.equal(wrong('port=2'), 'F:1: PORT: too low (2), expected 0, or 3 at least, as the one before it is used as well')
  t.match(wrong('bind=here'), /^F:1: BIND: not an address \("here"\)/)
  t.match(wrong('mask=10.0.0.0/99'), /^F:1: MASK: not a network/)
  t.equal(wrong('DB_URL=:memory:'), 'F:1: DB_URL: no path of a database, expected a path such as ./db_v2.sqlite3')
  t.equal(wrong(`key=${'secret'.repeat(1000)}`), 'F:1: KEY: too long, expected at most 4096 characters')
  const file = fileOf(t, 'latin1.ini', 'key=x')
  t.throws(() => hbbsIni.parse(file, 'key=\xff'), { code: 'ERR_USAGE', message: `${file}: not text, expected UTF-8` })
})
