// In place of the process that captures the screen: it does what a test tells it, over a connection to the test, at the port that the name of
// its rule is.
import { WebSocket } from 'ws'

const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`)).slice(name.length + 3)

const test = new WebSocket(`ws://127.0.0.1:${option('name')}`)
const tell = (what) => { test.send(JSON.stringify(what)) }

const acts = {
  /** Connects to the peer; what comes from there goes to the test. */
  connect ({ authorization }) {
    acts.peer = new WebSocket(`ws://127.0.0.1:${option('port')}`, { headers: authorization === null ? {} : { authorization } })
    acts.peer.on('message', (data) => { test.send(data) })
    acts.peer.on('open', () => { tell({ event: 'open' }) })
    acts.peer.on('error', ({ message }) => { tell({ event: 'refused', message }) })
    acts.peer.on('close', () => { tell({ event: 'closed' }) })
  },
  text ({ text }) { acts.peer.send(text) },
  exit ({ code, complaint }) {
    process.stderr.write(complaint)
    process.exit(code)
  },
  /** Goes on when it is told to end. */
  stay () {
    process.on('SIGTERM', () => { tell({ event: 'SIGTERM' }) })
    tell({ event: 'stays' })
  },
  deaf () { acts.peer.pause() }
}

test.on('open', () => { tell({ event: 'started', pid: process.pid, port: Number(option('port')), args: process.argv.slice(2), variables: Object.keys(process.env), token: process.env.TUNPIPE_WORKER_TOKEN }) })
test.on('message', (data, isBinary) => {
  if (isBinary) return acts.peer.send(data)
  const { act, ...more } = JSON.parse(data)
  acts[act](more)
})
test.on('close', () => { process.exit() })
test.on('error', () => { process.exit(1) })
