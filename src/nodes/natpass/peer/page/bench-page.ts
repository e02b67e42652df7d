/** The page of a bench rule: each request is a measurement of the way to the target and back (natpass protocol, section 4.2). */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { answer, whenGone } from './answers.ts'
import { PageListener, type PageListenerInit } from './page-listener.ts'
import { reasonOf } from '../../../../text/printable.ts'

/** Measurements at one time. */
const MAX_MEASUREMENTS = 16

export interface BenchPageInit extends PageListenerInit {
  /**
   * Opens a link, and settles with its id when the other end has answered. A rejection is shown to the user.
   *
   * @param signal - aborted when nobody waits for it any more
   */
  measure (signal: AbortSignal): Promise<string>
}

export interface BenchPage {
  readonly url: string
  close (): Promise<void>
}

/** Listens and serves. @throws an error of the system when it cannot listen */
export async function serveBenchPage (init: BenchPageInit): Promise<BenchPage> {
  let measurements = 0
  const serve = async (_request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (measurements >= MAX_MEASUREMENTS) return answer(response, 503, `${MAX_MEASUREMENTS} measurements are running already\n`)
    measurements++
    try {
      answer(response, 200, await init.measure(whenGone(response)))
    } catch (err) {
      answer(response, 502, reasonOf(err as Error))
    } finally {
      measurements--
    }
  }
  const listener = new PageListener(init, { serve })
  await listener.listen()
  return listener
}
