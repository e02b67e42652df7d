/** Captures over the control socket. */
import type { Socket } from 'node:net'
import type { Answer, Request } from './server.ts'
import { captureStream, verifyCapture, type CaptureInterface, type CaptureRecorder } from '../../transforms/capture/index.ts'

/**
 * Streams a capture to the requester, until that side closes the socket or the capture is full.
 *
 * @param attach starts recording; the function that it returns stops it
 * @throws {OptionError} when `maxBytes` is invalid
 */
export function streamCapture (interfaces: readonly CaptureInterface[], { maxBytes }: Request, socket: Socket, attach: (recorder: CaptureRecorder) => () => void): Answer {
  const init = { interfaces, maxBytes: maxBytes as number | undefined }
  verifyCapture(init)
  return {
    body: { capturing: true },
    async follow () {
      const { recorder, finished } = captureStream(socket, init)
      const detach = attach(recorder)
      socket.once('end', () => { recorder.end() }).resume()
      await finished
      detach()
    }
  }
}
