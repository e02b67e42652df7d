/** A path to a member that has introduced itself, by itself: which endpoints count, whatever the member says. */
import t from 'tap'
import { IntroducedPath } from '../../../../src/nodes/candy/peer/direct/introduced-path.ts'
import type { DirectSession } from '../../../../src/nodes/candy/peer/direct/direct-session.ts'
import { readIntroducedHeartbeat, type IntroducedHeartbeat } from '../../../../src/nodes/candy/protocol/introduced-heartbeat.ts'
import { DATAGRAM_LAYOUT } from '../../../../src/nodes/candy/protocol/datagrams.ts'

const MEMBER = { host: '203.0.113.1', port: 1, isLocal: false }
const OTHER = { host: '192.168.7.7', port: 53, isLocal: true }

interface Sent {
  to: string
  id: number
  echo: number
  size: number
}

function rig (): { path: IntroducedPath, sent: Sent[], answer (echo: Pick<Sent, 'id' | 'size'>, now: number, number?: number, id?: number): boolean } {
  const sent: Sent[] = []
  const session = { received: 0, newest: 0, last: 0, seal () {} }
  const path = new IntroducedPath({
    own: 1,
    session: session as unknown as DirectSession,
    most: 1400,
    transmit (datagram, { host }) {
      const { id, echo } = readIntroducedHeartbeat(datagram.subarray(DATAGRAM_LAYOUT.text)) as IntroducedHeartbeat
      sent.push({ to: host, id, echo, size: datagram.length })
    }
  })
  path.add(MEMBER)
  return {
    path,
    sent,
    answer ({ id: echo, size: echoSize }, now, number = session.newest + 1, id = number) {
      session.received++
      session.last = number
      session.newest = Math.max(session.newest, number)
      return path.heard({ sender: 2, id, wantsAnswer: false, echo, echoDelay: 0, echoSize, loss: undefined }, 56, MEMBER, now)
    }
  }
}

t.test('a member cannot answer heartbeats that went to another host, by the ids of those that it has got', (t) => {
  const { path, sent, answer } = rig()
  path.add(OTHER)
  let now = 0
  for (let i = 0; i < 40; i++, now += 250) {
    const from = sent.length
    path.beat(now, 'all')
    for (const { to, id, size } of sent.slice(from)) {
      if (to !== MEMBER.host) continue
      answer({ id, size }, now + 20)
      for (let guess = -3; guess <= 3; guess++) if (guess !== 0) answer({ id: (id + guess) >>> 0, size }, now + 20)
    }
    path.used(now + 30)
    path.beat(now + 40, 'used')
  }
  t.ok(sent.some(({ to }) => to === OTHER.host))
  t.match(path.endpoint, MEMBER)
  t.end()
})

t.test('the newest heartbeat is echoed, by the numbers of datagrams, whatever its id', (t) => {
  const { path, sent, answer } = rig()
  path.beat(0, 'all')
  answer(sent[0], 10, 5, 9)
  answer(sent[0], 11, 3, 1000) // was overtaken
  path.beat(1000, 'all')
  t.equal(sent.at(-1)?.echo, 9)
  answer(sent[0], 1010, 6, 2)
  path.beat(2000, 'all')
  t.equal(sent.at(-1)?.echo, 2)
  t.equal(new Set(sent.map(({ id }) => id)).size, sent.length)
  t.end()
})
