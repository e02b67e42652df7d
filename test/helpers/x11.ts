/** A real X server without a screen of glass, Xvfb, and programs that run in it. */
import type { ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import { spawnGroup } from './programs/reaper.ts'

const NEEDED = ['Xvfb', 'xterm', 'xev', 'xclip', 'xauth']

const isInstalled = (name: string): boolean => (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name)))

const missing = NEEDED.filter((name) => !isInstalled(name))

/** Why the tests that need a desktop are skipped, or `false` to run them. On a build machine what is missing is a failure. */
export const skipWithoutX11: string | false = missing.length === 0 || process.env.CI === 'true' ? false : `not installed: ${missing.join(', ')}`

export interface XServer {
  /** Such as `:3210`. */
  readonly display: string
  /** What its programs find it by. */
  readonly env: { readonly DISPLAY: string }
  readonly process: ChildProcess
}

export interface XServerInit {
  /** In pixels: `1280x720`. */
  readonly size?: string
  /** A file of `xauth`: only those who have what is in it may connect. Default: all users of this machine. */
  readonly authority?: string
  readonly args?: readonly string[]
}

/**
 * Starts one, until the end of the test. Its number is a random one: a server that looks for a free one itself takes one whose former
 * server is about to end, and then removes its socket.
 */
export async function startX (t: Test, { size = '640x480', authority, args = [] }: XServerInit = {}): Promise<XServer> {
  const display = `:${randomInt(1000, 59000)}`
  const xvfb = spawnGroup('Xvfb', [display, '-displayfd', '3', '-screen', '0', `${size}x24`, '-nolisten', 'tcp', '-noreset', ...(authority === undefined ? ['-ac'] : ['-auth', authority]), ...args], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  const closed = once(xvfb, 'close')
  t.teardown(async () => {
    xvfb.kill() // so that it removes its socket
    await closed
  })
  await once(xvfb.stdio[3] as Readable, 'data') // it listens
  return { display, env: { DISPLAY: display }, process: xvfb }
}

interface XConnection {
  readonly client: any
  /** The first window of its screen. */
  readonly root: number
  /** Waits for the answer of a request, which is given what to call with it. */
  answer (request: (done: (err: Error | null | undefined, reply: any) => true) => void): Promise<any>
}

async function connectX ({ display }: XServer): Promise<XConnection> {
  const name: string = 'x11' // it has no declarations
  const { createClient } = (await import(name)).default
  const answer: XConnection['answer'] = (request) => new Promise((resolve, reject) => {
    request((err, reply) => {
      if (err == null) resolve(reply)
      else reject(err)
      return true
    })
  })
  const { client, screen: [{ root }] } = await answer((done) => { createClient({ display }, done) })
  return { client, root, answer }
}

/** Gives its screen another size, at most that which it was started with, in pixels. */
export async function resizeX (x: XServer, width: number, height: number): Promise<void> {
  const { client, root, answer } = await connectX(x)
  const randr = await answer((done) => { client.require('randr', done) })
  await answer((done) => { randr.QueryVersion(1, 3, done) })
  const { crtcs: [crtc], config_timestamp: since } = await answer((done) => { randr.GetScreenResources(root, done) })
  await answer((done) => { randr.SetCrtcConfig(crtc, 0, since, 0, 0, 0, 1, [], done) }) // its picture would not fit
  randr.SetScreenSize(root, width, height, 100, 100)
  await answer((done) => { client.sync(done) })
  client.terminate()
}

/** The keycode of a shift key, which does nothing by itself. */
const SHIFT = 50

/**
 * Presses a key by XTEST. After the first one of a server it tells all who are connected that there is another keyboard; after this it does not
 * do so again.
 */
export async function pressFirstKey (x: XServer): Promise<void> {
  const { client, root, answer } = await connectX(x)
  const xtest = await answer((done) => { client.require('xtest', done) })
  for (const type of [xtest.KeyPress, xtest.KeyRelease]) xtest.FakeInput(type, SHIFT, 0, root, 0, 0)
  await answer((done) => { client.sync(done) })
  client.terminate()
}
