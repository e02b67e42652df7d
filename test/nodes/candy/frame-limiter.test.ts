/** What a connection may send that carries nothing to others: more than that is held. */
import t from 'tap'
import { FrameLimiter } from '../../../src/nodes/candy/relay/frame-limiter.ts'

/** How many portions of so many frames pass at once; none is for another member. */
function atOnce (frameLimiter: FrameLimiter, frames: number, prepare: () => void = () => {}): number {
  for (let portions = 0; ; portions++) {
    prepare()
    if (frameLimiter.spend(frames, 0) !== undefined) return portions
  }
}

t.test('a stranger: 256 frames, then it waits', async (t) => {
  t.equal(atOnce(new FrameLimiter(), 64), 4)
  t.equal(atOnce(new FrameLimiter(), 8192), 0, 'a whole portion is more than that')
})

t.test('a message with a hash counts for sixteen', async (t) => {
  const frameLimiter = new FrameLimiter()
  t.equal(atOnce(frameLimiter, 1, () => { frameLimiter.handshake() }), 16)
})

t.test('a member: 4096 frames, and what it sends to others is none of them', async (t) => {
  const frameLimiter = new FrameLimiter()
  frameLimiter.join()
  let received = 0
  for (let i = 0; i < 100; i++) t.equal(frameLimiter.spend(8192, received += 8192), undefined)
  t.equal(frameLimiter.spend(4096, received), undefined, 'frames without a message')
  t.ok(frameLimiter.spend(256, received) instanceof Promise)
})

t.test('an ignored message of a member is one of them', async (t) => {
  const frameLimiter = new FrameLimiter()
  frameLimiter.join()
  let received = 0
  t.ok(Array.from({ length: 64 }, () => {
    for (let i = 0; i < 256; i++) frameLimiter.ignored()
    received += 256
    return frameLimiter.spend(256, received)
  }).some((held) => held !== undefined))
})

t.test('a limit holds for all frames of a member, and another one holds at once', async (t) => {
  const frameLimiter = new FrameLimiter()
  frameLimiter.join()
  frameLimiter.limit(1000)
  t.equal(frameLimiter.spend(250, 250), undefined)
  t.ok(frameLimiter.spend(50, 300) instanceof Promise)
  frameLimiter.limit(undefined)
  t.equal(frameLimiter.spend(8192, 8492), undefined)
})
