/** Programs that have just been started, and have carried nothing yet. */
import { setTimeout as delay } from 'node:timers/promises'
import { pings } from './load.ts'
import type { FreshTunnel } from './tunnels.ts'
import { summary } from '../lib/row.ts'

/** Milliseconds after which programs have done what they do by themselves after their start. */
const SETTLED = 9000

/** The first pings of a tunnel: their median in milliseconds. The tunnel is started for them, and gone afterwards. */
export async function freshPings (start: () => Promise<FreshTunnel>, count: number, interval: number): Promise<number> {
  const tunnel = await start()
  try {
    await delay(SETTLED)
    return summary(await pings(tunnel, count, interval)).value
  } finally {
    await tunnel.stop()
  }
}
