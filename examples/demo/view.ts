/** What the demo shows: a table that is redrawn in place on a terminal, a line a second elsewhere, or JSON lines. */
import type { Snapshot } from './lab.ts'

const COLUMNS = ['peer', 'in', 'out', 'packets/s', 'ping ms', 'average', 'UDP echoed', 'lost']

export interface View {
  /** Milliseconds between two updates. */
  readonly every: number
  update (snapshot: Snapshot): void
  finish (snapshot: Snapshot): void
}

const count = (value: number): string => Math.round(value).toLocaleString('en')
const total = (snapshot: Snapshot, of: (peer: Snapshot['peers'][number]) => number): number => snapshot.peers.reduce((sum, peer) => sum + of(peer), 0)

function table (snapshot: Snapshot): string[] {
  const rows = snapshot.peers.map(({ address, packetsIn, packetsOut, rate, ping, udp }) => [
    address, count(packetsIn), count(packetsOut), count(rate), ping.last.toFixed(2), ping.average.toFixed(2), count(udp.echoed), count(udp.lost + ping.lost)
  ])
  const widths = COLUMNS.map((name, i) => Math.max(name.length, 9, ...rows.map((row) => row[i].length)))
  return [COLUMNS, ...rows].map((row) => row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join('  '))
}

function relayLine ({ seconds, relay }: Snapshot): string {
  return `${seconds.toFixed(1)} s  relay ${relay.url}: ${count(relay.packets)} packets forwarded, ${count(relay.dropped)} dropped`
}

function summary (snapshot: Snapshot): string {
  const { seconds, relay, peers } = snapshot
  const answered = total(snapshot, ({ ping }) => ping.answered)
  const pings = answered + total(snapshot, ({ ping }) => ping.lost)
  return `${peers.length} peers, ${seconds.toFixed(1)} s: ${count(relay.packets)} packets through the relay; ` +
    `${count(answered)} of ${count(pings)} pings answered, ` +
    `${count(total(snapshot, ({ udp }) => udp.echoed))} of ${count(total(snapshot, ({ udp }) => udp.sent))} datagrams echoed.`
}

/** Redraws in one write, so that nothing flickers; the cursor is hidden meanwhile and always comes back. */
function terminalView (out: NodeJS.WriteStream): View {
  let drawn = 0
  process.on('exit', () => { out.write('\x1b[?25h') })
  const update = (snapshot: Snapshot): void => {
    const lines = [...table(snapshot), '', relayLine(snapshot)].map((line) => line.slice(0, out.columns))
    const up = drawn > 0 ? `\r\x1b[${drawn}A` : ''
    out.write(`\x1b[?25l${up}${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`)
    drawn = lines.length
  }
  return {
    every: 250,
    update,
    finish (snapshot) {
      update(snapshot)
      out.write(`${summary(snapshot)}\n`)
    }
  }
}

function plainView (out: NodeJS.WriteStream): View {
  return {
    every: 1000,
    update (snapshot) {
      const { peers } = snapshot
      const average = total(snapshot, ({ ping }) => ping.average) / peers.length
      const rate = total(snapshot, (peer) => peer.rate)
      out.write(`${snapshot.seconds.toFixed(1)} s  ${peers.length} peers  ${count(rate)} packets/s  ping ${average.toFixed(2)} ms  ` +
        `${count(total(snapshot, ({ udp }) => udp.echoed))} datagrams echoed  ${count(total(snapshot, ({ udp }) => udp.lost))} lost\n`)
    },
    finish (snapshot) {
      out.write(`${[...table(snapshot), summary(snapshot)].join('\n')}\n`)
    }
  }
}

function jsonView (out: NodeJS.WriteStream): View {
  const say = (event: string) => (snapshot: Snapshot): void => { out.write(`${JSON.stringify({ event, ...snapshot })}\n`) }
  return { every: 1000, update: say('second'), finish: say('summary') }
}

export function createView (json: boolean, out: NodeJS.WriteStream): View {
  return json ? jsonView(out) : out.isTTY ? terminalView(out) : plainView(out)
}
