/** Connections of a peer to its server, and the first frame on them (gotunnel protocol, section 4). */
import { ConnectError, RefusedError } from './peer-errors.ts'
import { MAX_FRAME, readAnswer, STRICT, type DataChannel, type Register } from './messages.ts'
import type { PeerSettings } from './peer-settings.ts'
import { LinkClosedError } from '../../errors.ts'
import { firstFrame } from '../../transforms/first-frame.ts'
import { encodeJson } from '../../transforms/json.ts'
import { LengthPrefixEncoder } from '../../transforms/length-prefix.ts'
import { u32be } from '../../transforms/length-codecs.ts'
import { dialTcp } from '../../transports/tcp.ts'
import { dialTls } from '../../transports/tls.ts'
import type { Link } from '../../types.ts'

/** Milliseconds of silence after which the system looks whether the other end is there. */
export const KEEP_ALIVE = 30_000

const frames = new LengthPrefixEncoder(u32be)

export interface Answered {
  /** What is behind the answer. */
  link: Link
  isStrict: boolean
}

/**
 * Connects, says what for, and waits for the answer.
 *
 * @param signal ends it, whatever it waits for
 * @throws {ConnectError} without a connection; {@link RefusedError} when the answer is no
 */
export async function dialServer ({ server, tls }: PeerSettings, message: Register | DataChannel, signal: AbortSignal): Promise<Answered> {
  const to = { ...server, keepAlive: KEEP_ALIVE, signal }
  const link = await (tls === undefined ? dialTcp(to) : dialTls({ ...to, ...tls })).catch((err: Error) => { throw new ConnectError(err) })
  const abort = (): void => { link.abort(signal.reason) }
  signal.addEventListener('abort', abort, { once: true })
  try {
    link.port.send(frames.push([encodeJson(message)]))
    const { frame, rest } = await firstFrame(link, u32be, { maxFrame: MAX_FRAME })
    if (frame === undefined) throw new LinkClosedError('the server has ended the connection without an answer')
    const { status, reason, tunpipe } = readAnswer(frame)
    if (status !== 'ok') throw new RefusedError(reason === undefined || reason === '' ? 'the server gives no reason' : reason)
    return { link: rest, isStrict: tunpipe === STRICT }
  } catch (err) {
    link.abort(err as Error)
    throw err
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
