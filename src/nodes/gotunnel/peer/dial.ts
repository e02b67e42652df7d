/** Connections of a peer to its server, and the first frame on them (gotunnel protocol, section 4). */
import { ConnectError, RefusedError } from './errors.ts'
import { MAX_FRAME, readAnswer, type DataChannel, type Register, type RegisterResp } from '../protocol/messages.ts'
import type { PeerSettings } from './settings.ts'
import { LinkClosedError } from '../../../errors.ts'
import { firstFrame } from '../../../transforms/first-frame.ts'
import { encodeJson } from '../../../transforms/json.ts'
import { LengthPrefixEncoder } from '../../../transforms/length-prefix.ts'
import { FrameSizeError, u32be } from '../../../transforms/length-codecs.ts'
import { explainedDial, foreignServer, type DialAttempt } from '../../../transports/protocol-detection.ts'
import { dialTls } from '../../../transports/tls.ts'
import type { Link } from '../../../types.ts'

/** Milliseconds of silence after which TCP keepalive starts to probe the other end. */
export const KEEP_ALIVE = 30_000

const frames = new LengthPrefixEncoder(u32be)

/** Describes a dial attempt, for the error about a server that speaks another protocol. */
const tried = (isTls: boolean): DialAttempt => ({ wanted: 'gotunnel', isTls, tls: 'use TLS (--tls)', plain: 'leave out TLS (no --tls)' })

/**
 * Connects and sends the first frame.
 *
 * @throws {ConnectError} when no connection can be made
 */
export async function dialServer ({ server, tls, dial, clock }: Pick<PeerSettings, 'server' | 'tls' | 'dial' | 'clock'>, message: Register | DataChannel, signal: AbortSignal): Promise<Link> {
  const to = { ...server, keepAlive: KEEP_ALIVE, signal, clock }
  const link = await (tls === undefined ? dial(to) : dialTls({ ...to, ...tls })).catch((err: Error) => { throw new ConnectError(explainedDial(err, tried(tls !== undefined))) })
  link.port.send(frames.push([encodeJson(message)]))
  return link
}

/**
 * Waits for the answer to the first frame.
 *
 * @param signal aborts the wait and the link
 * @returns the answer, and the link behind it
 * @throws {RefusedError} when the answer is a rejection
 */
export async function answerOf (link: Link, isTls: boolean, signal: AbortSignal): Promise<{ answer: RegisterResp, rest: Link }> {
  const abort = (): void => { link.abort(signal.reason) }
  signal.addEventListener('abort', abort, { once: true })
  try {
    if (signal.aborted) abort()
    const { frame, rest } = await firstFrame(link, u32be, { maxFrame: MAX_FRAME })
    if (frame === undefined) throw new LinkClosedError(`the server has ended the connection without an answer: perhaps it ${isTls ? '' : 'speaks TLS (then use --tls) or '}is no gotunnel server`)
    const answer = readAnswer(frame)
    if (answer.status !== 'ok') throw new RefusedError(answer.reason)
    return { answer, rest }
  } catch (err) {
    link.abort(err as Error)
    if (err instanceof FrameSizeError && err.first !== undefined) throw foreignServer(err.first, tried(isTls), err)
    throw isTls ? err : explainedDial(err as Error, tried(false))
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
