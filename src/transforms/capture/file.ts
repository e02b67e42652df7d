/**
 * Captures that go to a file or to any other `Writable`. Writing is asynchronous and in order; when it is too slow, packets are
 * missing from the capture, and the traffic does not notice.
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

/** What a write that waits costs besides its bytes. */
const WRITE_OVERHEAD = 128

/** Only the owner may read what was captured, or anything else of it. */
const MODE = 0o600

/** A recorder and where it writes to. */
export interface Capture {
  readonly recorder: CaptureRecorder
  /** Why the capture has ended, once all of it is with the kernel or never will be. Never rejects. */
  readonly finished: Promise<CaptureEnd>
  /**
   * Ends the capture, and settles as `finished` does. Harmless when repeated.
   *
   * @param signal gives up what is not written yet, for a receiver that has stopped reading
   */
  close (signal?: AbortSignal): Promise<CaptureEnd>
}

export interface CaptureFileInit extends CaptureInit {
  /** Replace what a file of this name has in it. Default: false, which refuses a name that is in use. */
  overwrite?: boolean
}

/**
 * Captures to a stream, and ends it with the capture. A pipe to Wireshark is `captureStream(process.stdout, ...)`; an error of
 * the stream ends the capture and nothing else. Throws `OptionError` for options that cannot work.
 */
export function captureStream (stream: Writable, init: CaptureInit): Capture {
  verifyCapture(init) // before the stream is touched
  let writes = 0
  const onWritten = (): void => { writes-- }
  stream.on('error', () => {}) // told by `finished`
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
    else giveUp(new LinkClosedError('the stream of the capture was ended by somebody else'))
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
 * Captures to a new file that only its owner can read. Rejects with what the system says (`EEXIST`, `EACCES`, ...), and with
 * `OptionError` for options that cannot work, before there is a file. A full disk ends the capture.
 */
export async function captureFile (path: string, { overwrite = false, ...init }: CaptureFileInit): Promise<Capture> {
  verifyCapture(init)
  return captureStream(await openCaptureFile(path, overwrite), init)
}

/** A file for a capture, which only its owner can read. Rejects with what the system says (`EEXIST`, `EACCES`, ...). */
export async function openCaptureFile (path: string, overwrite = false): Promise<Writable> {
  const file = await open(path, overwrite ? 'w' : 'wx', MODE)
  try {
    if (overwrite && (await file.stat()).isFile()) await file.chmod(MODE) // others may have been able to read the old one
    return file.createWriteStream()
  } catch (err) {
    await file.close()
    throw err
  }
}
