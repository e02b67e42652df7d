/** A module of a bench exports functions: importing it prints nothing, starts nothing and keeps no process alive. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'
import { STRIP_TYPES } from '../helpers/programs/executables.ts'
import { startNode } from '../helpers/programs/program.ts'

const BENCH = fileURLToPath(new URL('../../bench', import.meta.url))

/** Programs: `npm run bench`, and what it starts in processes of their own. */
const PROGRAMS = [
  'index.ts',
  'five/attacker.js', 'five/relay.js',
  'floods/attacker.ts',
  'gotunnel/pipe-hop.js', 'gotunnel/service.js', 'gotunnel/tunpipe-peer.js', 'gotunnel/tunpipe-relay.js',
  'natpass-desktop/painter.js', 'natpass-desktop/peer.js',
  'natpass-relay/plain-relay.js', 'natpass-relay/tunpipe-relay.js',
  'relay/plain-ws-relay.js', 'relay/tunpipe-relay.js',
  'reliable/stream.js',
  'rustdesk/idle-pairs.js', 'rustdesk/memory-report.js', 'rustdesk/peers-database.js', 'rustdesk/plain-echo.js', 'rustdesk/plain-relay.js', 'rustdesk/presence.js',
  'rustdesk/punches.js', 'rustdesk/registrations.js', 'rustdesk/streams.js',
  'showchain/load.js', 'showchain/relay.js', 'showchain/stream.js',
  'tun/least.js', 'tun/sealed-peer.js',
  'udp/receiver.js', 'udp/sender.js'
]

const files = readdirSync(BENCH, { recursive: true, encoding: 'utf8' }).filter((file) => /\.[jt]s$/.test(file)).sort()
const modules = files.filter((file) => !PROGRAMS.includes(file))

/** What a module may not have started, watched from before the first import; one line on stderr for each. */
const IMPORT_ALL = `
import { createHook } from 'node:async_hooks'
import { writeSync } from 'node:fs'
const STARTED = /^(PROCESSWRAP|TCPSERVERWRAP|PIPESERVERWRAP|UDPWRAP|WORKER|Timeout|Immediate)$/
let file
createHook({ init (id, type) { if (STARTED.test(type)) writeSync(2, file + ': ' + type + '\\n') } }).enable()
const files = JSON.parse(process.argv[1])
for (file of files) {
  const names = Object.keys(await import(file))
  if (names.length === 0) writeSync(2, file + ' exports nothing\\n')
}
`

t.test('every program is there', async (t) => {
  t.same(PROGRAMS.filter((file) => !files.includes(file)), [])
})

t.test('importing every module starts nothing', async (t) => {
  const urls = modules.map((file) => pathToFileURL(join(BENCH, file)).href)
  const { code, stdout, stderr } = await startNode(t, [...STRIP_TYPES, '--input-type=module', '-e', IMPORT_ALL, JSON.stringify(urls)]).ended
  t.same([code, stdout, stderr], [0, '', ''])
})
