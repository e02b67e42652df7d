/**
 * What the real server of natpass and our relay do in the conformance cases of servers (natpass protocol, section 8), and that messages
 * of our own ends pass the real one unchanged (section 6). No part of the suite, as `natpass-originals.ts`, which tells how to run it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { join } from '../helpers/natpass/client.ts'
import { NATPASS_SERVER_BIN } from '../helpers/natpass/original.ts'
import { framesOf } from '../helpers/natpass/observed.ts'
import { isPrivate } from '../helpers/natpass/private-network.ts'
import { rows } from '../helpers/natpass/rows.ts'
import { startOriginal, startRelay } from '../helpers/natpass/servers.ts'
import { vector, vectors } from '../helpers/natpass/vectors.ts'
import { MessageType } from '../../src/nodes/natpass/protocol/message-types.ts'

const TIMEOUT = 180_000
/** Milliseconds for one case. */
const PATIENCE = 70_000

const MINUTE = 60_000
/** Milliseconds of a minute in which all handshakes have time. */
const YOUNG = 45_000

/** The original takes the proof of the current minute alone. */
async function untilMinuteIsYoung (): Promise<void> {
  const age = Date.now() % MINUTE
  if (age > YOUNG) await delay(MINUTE - age)
}

if (NATPASS_SERVER_BIN === undefined) t.plan(0, 'only when asked for: set NATPASS_SERVER_BIN')
else if (!isPrivate()) t.plan(0, 'it listens on all addresses: run it in a network namespace of its own')
else {
  await t.test('the conformance cases', { timeout: TIMEOUT }, async (t) => {
    const [original, relay] = [await startOriginal(t), await startRelay(t)]
    await untilMinuteIsYoung()
    const outcomes = async ({ port }: { port: number }): Promise<string[]> =>
      await Promise.all(rows.map(({ name, run }) => Promise.race([run(t, port, (client) => `${name}-${client}`).catch((err: unknown) => String(err)), delay(PATIENCE, 'no end', { ref: false })])))
    const [theirs, ours] = await Promise.all([outcomes(original), outcomes(relay)])
    for (const [i, row] of rows.entries()) {
      if (theirs[i] !== ours[i]) t.comment(`case ${row.name}: the original: ${theirs[i]}; ours: ${ours[i]}`)
      t.equal(theirs[i], row.original, `case ${row.name}: the original`)
      t.equal(ours[i], row.ours ?? row.original, `case ${row.name}: ours`)
    }
  })

  for (const [name, start] of [['the original server', startOriginal], ['our relay', startRelay]] as const) {
    await t.test(`messages of our own ends pass ${name} unchanged`, async (t) => {
      const { port } = await start(t)
      await passUnchanged(t, port)
    })
  }
}

/** Sends the frames of section 6 on a link, one after the other, and compares what arrives with the vectors. */
async function passUnchanged (t: Test, port: number): Promise<void> {
  const clients = { local: await join(t, port, 'local'), remote: await join(t, port, 'remote') }
  const other = { local: clients.remote, remote: clients.local }
  const own = vectors.filter(({ name }) => name.startsWith('link_'))
  t.ok(own.length > 0)
  for (const { name, inputs: { message } } of own) {
    const from = message?.from as keyof typeof clients
    const link = message?.link_id as string
    if (message?._type !== 'connect_req') {
      clients.local.send(vector('link_offer_shell'))
      await clients.remote.next(({ _type }) => _type === MessageType.connectReq)
    }
    const frames = framesOf(other[from])
    clients[from].send(vector(name))
    await other[from].next(({ link_id: id }) => id === link)
    t.same(frames[0], vector(name), name)
    clients[from].send({ _type: MessageType.disconnect, to: other[from].id, link_id: link })
    await other[from].next(({ _type }) => _type === MessageType.disconnect)
  }
}
