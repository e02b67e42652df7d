/**
 * Captures to a file or any other `Writable`. Writes are asynchronous and in order. When they are too slow, packets are missing from the
 * capture; the traffic is not delayed.
 *
 * ```ts
 * const { recorder, close } = await captureFile('lab.pcapng', { interfaces: [{ linkType: 'raw', name: 'packets' }] })
 * const link = over(lower, capture(recorder))
 * ```
 */
import { open } from 'node:fs/promises'
import { finished, type Writable } from 'node:stream'
import { LinkClosedError } from '../../errors.ts'
import { CaptureRecorder, verifyCapture, type CaptureEnd, type CaptureInit } from './recorder.ts'

/** Bytes of overhead that a queued write counts for. */
const WRITE_OVERHEAD = 128

/** File mode: only the owner may read a capture. */
const MODE = 0o600

/** A recorder and its output. */
export interface Capture {
  readonly recorder: CaptureRecorder
  /** The reason why the capture has ended, once everything is written or has failed. Never rejects. */
  readonly finished: Promise<CaptureEnd>
  /**
   * Ends the capture, and settles as `finished` does. May be called more than once.
   *
   * @param signal drops what is not written yet, for a receiver that has stopped reading
   */
  close (signal?: AbortSignal): Promise<CaptureEnd>
}

/** Options of {@link captureFile}. */
export interface CaptureFileInit extends CaptureInit {
  /** Overwrite an existing file. Default: false, which rejects with `EEXIST`. */
  overwrite?: boolean
}

/**
 * Captures to a stream, and ends it with the capture. A pipe to Wireshark is `captureStream(process.stdout, ...)`. An error of the stream
 * ends only the capture.
 *
 * @throws {OptionError} when an option is out of range
 */
export function captureStream (stream: Writable, init: CaptureInit): Capture {
  verifyCapture(init) // before the stream is changed
  let writes = 0
  const onWritten = (): void => { writes-- }
  stream.on('error', () => {}) // reported by `finished`
  const recorder = new CaptureRecorder({
    ...init,
    write (bytes) {
      writes++
      stream.write(bytes, onWritten)
    },
    queued: () => stream.writableLength + writes * WRITE_OVERHEAD
  })
  void recorder.finished.then(() => { stream.end() })

  let settle: (end: CaptureEnd) => void
  const ended = new Promise<CaptureEnd>((resolve) => { settle = resolve })
  const giveUp = (error: Error): void => {
    recorder.fail(error)
    settle({ reason: 'failed', error })
  }
  finished(stream, { readable: false }, (err) => {
    if (err != null) giveUp(err)
    else if (recorder.over) void recorder.finished.then(settle)
    else giveUp(new LinkClosedError('the stream of the capture was ended by other code'))
  })

  return {
    recorder,
    finished: ended,
    async close (signal) {
      recorder.end()
      const onAbort = (): void => {
        giveUp(signal?.reason)
        stream.destroy()
      }
      if (signal?.aborted === true) onAbort()
      else signal?.addEventListener('abort', onAbort, { once: true })
      const end = await ended
      signal?.removeEventListener('abort', onAbort)
      return end
    }
  }
}

/**
 * Captures to a new file that only its owner can read. A full disk ends the capture.
 *
 * @throws {OptionError} when an option is out of range, before the file is created; else a system error (`EEXIST`, `EACCES`, ...)
 */
export async function captureFile (path: string, { overwrite = false, ...init }: CaptureFileInit): Promise<Capture> {
  verifyCapture(init)
  return captureStream(await openCaptureFile(path, overwrite), init)
}

/** Opens a file that only its owner can read. Rejects with a system error (`EEXIST`, `EACCES`, ...). */
export async function openCaptureFile (path: string, overwrite = false): Promise<Writable> {
  const file = await open(path, overwrite ? 'w' : 'wx', MODE)
  try {
    if (overwrite && (await file.stat()).isFile()) await file.chmod(MODE) // others may have been able to read the old file
    return file.createWriteStream()
  } catch (err) {
    await file.close()
    throw err
  }
}
