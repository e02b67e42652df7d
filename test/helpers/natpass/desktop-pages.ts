/** Pages of desktops in a browser, with a real relay and a controlled end that the test plays as an original one. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import type { Test } from 'tap'
import { join, type NatpassClient } from './client.ts'
import { isType } from './messages.ts'
import { startPeer } from './peers.ts'
import { serve } from './serve.ts'
import { holds, says, visit } from '../chromium.ts'
import type { NatpassPeer } from '../../../src/nodes/natpass/peer/peer.ts'
import { MessageType } from '../../../src/nodes/natpass/protocol/message-types.ts'
import type { Message, MessageInit } from '../../../src/nodes/natpass/protocol/messages.ts'

export const WIDTH = 640
export const HEIGHT = 480

/** The other end of an open desktop. */
export interface PlayedDesktop {
  client: NatpassClient
  request: Message
  show (x: number, y: number, size: number, encode: number, data: Uint8Array): void
  send (message: MessageInit): void
  next (type: keyof typeof MessageType): Promise<Message>
}

export interface DesktopPages {
  /** The controlled end. */
  nas: NatpassClient
  /** A peer with a rule of its own. @param localPort - of its page */
  listen (t: Test, localPort?: number): Promise<{ laptop: NatpassPeer, url: string }>
  /** Lets in who asks next. */
  accept (): Promise<PlayedDesktop>
  /** Refuses it. */
  refuse (reason: string): Promise<void>
  /** A page that shows a red block. */
  open (t: Test, options?: BrowserContextOptions): Promise<{ page: Page, desktop: PlayedDesktop, url: string }>
}

export async function desktopPages (t: Test, browser: Browser): Promise<DesktopPages> {
  const { port } = await serve(t)
  const nas = await join(t, port, 'nas')
  let rules = 0

  async function listen (t: Test, localPort = 0): Promise<{ laptop: NatpassPeer, url: string }> {
    const laptop = await startPeer(t, port, { id: `laptop${++rules}`, rules: [{ name: 'my desk', target: 'nas', type: 'vnc', fps: 20, localPort }] })
    return { laptop, url: laptop.status().rules[0].url as string }
  }

  async function accept (): Promise<PlayedDesktop> {
    const request = await nas.next(isType('connectReq'))
    const { from: to, link_id: id } = request
    const played: PlayedDesktop = {
      client: nas,
      request,
      send: (message) => { nas.send({ ...message, to, link_id: id }) },
      next: (type) => nas.next((message) => message.link_id === id && isType(type)(message)),
      show (x, y, size, encode, data) {
        played.send({ _type: MessageType.vncImage, vimg: { _info: { screen_width: WIDTH, screen_height: HEIGHT, rect_x: x, rect_y: y, rect_width: size, rect_height: size }, encode, data } })
      }
    }
    played.send({ _type: MessageType.connectRep, crep: { ok: true } })
    return played
  }

  return {
    nas,
    listen,
    accept,
    async refuse (reason) {
      const { from: to, link_id: id } = await nas.next(isType('connectReq'))
      nas.send({ _type: MessageType.connectRep, to, link_id: id, crep: { ok: false, msg: reason } })
    },
    async open (t, options = {}) {
      const { url } = await listen(t)
      const { page } = await visit(t, browser, options)
      await page.goto(url)
      const desktop = await accept()
      await says(page, 'waiting for a picture')
      desktop.show(0, 0, 64, 0, filled(255, 0, 0))
      await says(page, '')
      return { page, desktop, url }
    }
  }
}

/** A raw block. */
export const filled = (red: number, green: number, blue: number): Uint8Array => new Uint8Array(64 * 64 * 4).map((_, i) => [red, green, blue, 0][i % 4])

/** Waits until a pixel of the screen has a colour. */
export async function shows (page: Page, x: number, y: number, colour: readonly [number, number, number]): Promise<void> {
  await holds(page, `document.getElementById('screen').getContext('2d').getImageData(${x}, ${y}, 1, 1).data.join() === '${[...colour, 255].join()}'`)
}

/** What has the keyboard, by its id. */
export const focused = async (page: Page): Promise<unknown> => await page.evaluate('document.activeElement.id')
