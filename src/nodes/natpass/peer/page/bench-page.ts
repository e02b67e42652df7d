/** The page of a bench rule: each request is a measurement of the way to the target and back (natpass protocol, section 4.2). */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { answer, whenGone } from './answers.ts'
import { Login, type LoginResult } from './login.ts'
import { PageListener, type PageListenerInit } from './page-listener.ts'
import { clientKey } from '../../../../net/client-address.ts'
import { systemClock } from '../../../../streams/clock.ts'
import { reasonOf } from '../../../../text/printable.ts'

/** Measurements at one time. */
const MAX_MEASUREMENTS = 16

/** What a program is told that has not said the password. */
const WANTED: OutgoingHttpHeaders = { 'www-authenticate': 'Basic realm="natpass", charset="UTF-8"' }

const REFUSALS: Readonly<Record<Exclude<LoginResult['is'], 'ok'>, [status: number, text: string, headers?: OutgoingHttpHeaders]>> = {
  wrong: [401, 'this is not the password\n', WANTED],
  throttled: [429, 'too many wrong passwords, wait a minute\n'],
  busy: [503, 'too many log in at this moment\n']
}

export interface BenchPageInit extends PageListenerInit {
  /** By HTTP Basic (RFC 7617), whatever the user; an answer has a cookie in place of it. Default: none. */
  readonly password?: string | undefined
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
  const { password, clock = systemClock } = init
  let measurements = 0
  let login: Login | undefined
  /** The headers of the answer to somebody who may measure; undefined: it was answered. */
  const logIn = async (request: IncomingMessage, response: ServerResponse): Promise<OutgoingHttpHeaders | undefined> => {
    if (login === undefined || login.isIn(request.headers.cookie)) return {}
    const given = passwordOf(request.headers.authorization)
    const { remoteAddress: remote = '' } = request.socket
    const result = given === undefined ? undefined : await login.attempt(given, clientKey(remote))
    if (result?.is === 'ok') return { 'set-cookie': result.cookie }
    if (result !== undefined && result.is !== 'busy') listener.tellRefusal({ remote, reason: result.is === 'wrong' ? 'wrong password' : 'too many wrong passwords' })
    const [status, text, headers] = result === undefined ? [401, 'a password is needed\n', WANTED] as const : REFUSALS[result.is]
    answer(response, status, text, headers)
    return undefined
  }
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const headers = await logIn(request, response)
    if (headers === undefined) return
    if (measurements >= MAX_MEASUREMENTS) return answer(response, 503, `${MAX_MEASUREMENTS} measurements are running already\n`, headers)
    measurements++
    try {
      answer(response, 200, await init.measure(whenGone(response)), headers)
    } catch (err) {
      answer(response, 502, reasonOf(err as Error), headers)
    } finally {
      measurements--
    }
  }
  const listener = new PageListener(init, { serve, knows: ({ headers }) => login?.isIn(headers.cookie) ?? true })
  const port = await listener.listen()
  if (password !== undefined) login = new Login(password, `natpass-${port}`, clock)
  return listener
}

/** What a program has sent by HTTP Basic, behind the name of a user. */
function passwordOf (header = ''): string | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header) ?? []
  const pair = encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString()
  return pair?.includes(':') === true ? pair.slice(pair.indexOf(':') + 1) : undefined
}
