/** A code-server rule in tests: two peers, a relay, and a program of the test in the place of code-server. */
import { mkdirSync, symlinkSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { startPeer } from './peers.ts'
import { serve } from './serve.ts'
import { newHome } from '../programs/homes.ts'
import type { NatpassPeer } from '../../../src/nodes/natpass/peer/peer.ts'
import type { NatpassPeerInit } from '../../../src/nodes/natpass/peer/settings.ts'

/** Puts the program where PATH finds it first, until the test ends. */
export function installCodeServer (t: Test): void {
  const folder = join(newHome(), 'bin')
  mkdirSync(folder, { recursive: true })
  symlinkSync(fileURLToPath(new URL('played-code-server.js', import.meta.url)), join(folder, 'code-server'))
  const { PATH } = process.env
  process.env.PATH = `${folder}:${PATH}`
  t.teardown(() => { process.env.PATH = PATH })
}

export interface Answered {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  text: string
}

/** A browser: it keeps the cookie of its link. */
export class CodeBrowser {
  readonly url: string
  cookie: string | undefined

  constructor (url: string) { this.url = url }

  /** Opens the page, and with it a link. */
  async open (path: string): Promise<Answered> {
    const answer = await this.get(path)
    this.cookie = answer.headers['set-cookie']?.[0].split(';')[0] ?? this.cookie
    return answer
  }

  async get (path: string, { method = 'GET', headers = {}, body }: { method?: string, headers?: Record<string, string>, body?: Uint8Array } = {}): Promise<Answered> {
    return await new Promise((resolve, reject) => {
      const request = httpRequest(this.url + path, { method, agent: false, headers: { ...this.cookie === undefined ? {} : { cookie: this.cookie }, ...headers } }, (response) => {
        const all: Buffer[] = []
        response.on('data', (bytes: Buffer) => { all.push(bytes) })
        response.on('error', reject)
        response.on('end', () => { resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(all), get text () { return this.body.toString() } }) })
      })
      request.on('error', reject)
      request.end(body)
    })
  }
}

export interface CodeRule {
  nas: NatpassPeer
  laptop: NatpassPeer
  browser: CodeBrowser
  /** The folder of all rules. */
  codedir: string
}

/** @param names - of rules; the browser is for the first one. @param init - of the controlled end */
export async function startCodeRule (t: Test, names = ['ide'], init: Partial<NatpassPeerInit> = {}): Promise<CodeRule> {
  const { port } = await serve(t)
  const codedir = join(newHome(), 'code')
  const nas = await startPeer(t, port, { allow: ['code@laptop'], codedir, ...init })
  const laptop = await startPeer(t, port, { id: 'laptop', rules: names.map((name) => ({ name, target: 'nas', type: 'code-server' })) })
  return { nas, laptop, codedir, browser: new CodeBrowser(laptop.status().rules[0].url ?? '') }
}
