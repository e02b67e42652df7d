/** A data connection in use whose packets are lost from some moment on, while all others are well. */
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { DarkCommands } from '../helpers/network/dark-connection.ts'
import { Lab } from '../helpers/network/namespaces.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent } from '../helpers/network/traffic.ts'

const SCRIPT = fileURLToPath(new URL('../helpers/network/dark-connection.ts', import.meta.url))

/** Milliseconds. Longer than any answer on a loopback takes. */
const UNANSWERED_TIMEOUT = 2000

if (await canRun(t, ['nft', 'ss'])) {
  t.test('its user is let go, those that only do not read stay, and others are served', { timeout: 60_000 }, async (t) => {
    const world = await new Lab(t).namespace('dark')
    await world.filter('add table ip dark; add chain ip dark in { type filter hook input priority 0; }')
    const agent = new Agent<DarkCommands>(world, SCRIPT)
    await agent.call('start', UNANSWERED_TIMEOUT)
    await agent.call('connect', false) // stands still all the time, and answers
    const port = await agent.call('connect', true)
    await world.filter(`add rule ip dark in tcp sport ${port} drop; add rule ip dark in tcp dport ${port} drop`)
    let state = await agent.call('state')
    t.same(state.closed, [false, false])
    while (!state.closed[1] || state.silent.relay === 0 || state.silent.peer === 0) {
      await delay(100)
      state = await agent.call('state')
    }
    await agent.call('connect', true)
    state = await agent.call('state')
    t.same(state.closed, [false, true, false])
    t.ok(state.received[2] > 0)
    t.same([state.silent, state.users, state.offline], [{ relay: 1, peer: 1 }, 2, 0])
  })
}
