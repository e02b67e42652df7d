/** code-server with ends of the original, and with ends that break the protocol (natpass protocol, sections 4.2, 4.3 and 6.6). */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { until } from '../../../../helpers/ends.ts'
import { join, type NatpassClient } from '../../../../helpers/natpass/client.ts'
import { CodeBrowser, installCodeServer, startCodeRule } from '../../../../helpers/natpass/code.ts'
import { answer, ended, isType, LINK, request } from '../../../../helpers/natpass/messages.ts'
import { startPeer } from '../../../../helpers/natpass/peers.ts'
import { serve } from '../../../../helpers/natpass/serve.ts'
import { MessageType } from '../../../../../src/nodes/natpass/protocol/message-types.ts'
import type { Message, MessageInit } from '../../../../../src/nodes/natpass/protocol/messages.ts'

installCodeServer(t)

const APP = '/forward/ide'

const bodyOf = ({ csrep_body: part }: Message): string => Buffer.from(part?.body ?? []).toString()

/** A control end of the test. @param offer - as one of tunpipe */
async function control (t: Test, offer?: object) {
  const { nas, laptop, codedir } = await startCodeRule(t)
  await laptop.close()
  const client = await join(t, Number(nas.status().server.split(':')[1]), 'laptop')
  client.send({ ...request('nas', LINK, 'code'), creq: { name: 'ide', _type: 5, ...offer === undefined ? {} : { link: offer } } })
  t.match(await client.next(isType('connectRep')), { crep: { ok: true } })
  const send = (message: MessageInit): void => { client.send({ to: 'nas', link_id: LINK, ...message }) }
  return { nas, client, send, codedir }
}

/** A controlled end of the test, and a browser with a link to it. @param offer - as one of tunpipe */
async function controlled (t: Test, offer?: object) {
  const { port } = await serve(t)
  const nas = await join(t, port, 'nas')
  const laptop = await startPeer(t, port, { id: 'laptop', rules: [{ name: 'ide', target: 'nas', type: 'code-server' }] })
  const browser = new CodeBrowser(laptop.status().rules[0].url ?? '')
  const opening = browser.open(`${APP}/`)
  const { link_id: link, creq } = await nas.next(isType('connectReq'))
  t.match(creq, { name: 'ide', _type: 5 })
  nas.send(offer === undefined ? answer('laptop', link) : { ...answer('laptop', link), crep: { ok: true, link: offer } })
  t.equal((await opening).status, 307)
  const send = (message: MessageInit): void => { nas.send({ to: 'laptop', link_id: link, ...message }) }
  return { nas, laptop, browser, send, link }
}

async function all (client: NatpassClient): Promise<string> {
  let text = ''
  for (let index = 0; ; index++) {
    const message = await client.next(isType('codeResponseBody'))
    if (message.csrep_body?.index !== index) throw new Error('a part is missing')
    text += bodyOf(message)
    if (message.csrep_body.mask === 3) return text
  }
}

t.test('a control end of the original', async (t) => {
  const { nas, client, send } = await control(t)
  send({ _type: MessageType.codeRequest, csreq: { request_id: 1, method: 'POST', uri: '/echo', body: Buffer.from('a body'), header: { 'Content-Type': { values: ['text/plain'] } } } })
  t.match(await client.next(isType('codeResponseHeader')), { csrep_hdr: { code: 200 } })
  t.equal(await all(client), 'a body')
  for (const [uri, method, code] of [['nowhere', 'GET', 400], ['/a b', 'GET', 400], ['/', 'CONNECT', 400], ['/', 'G T', 400], ['/x', 'GET', 404]] as const) {
    send({ _type: MessageType.codeRequest, csreq: { request_id: 2, method, uri } })
    t.match(await client.next(isType('codeResponseHeader')), { csrep_hdr: { code } }, `${method} ${uri}`)
    await all(client)
  }
  send({ _type: MessageType.codeRequest, csreq: { request_id: 3, method: 'GET', uri: '/', header: { 'x y': { values: ['1'] } } } })
  t.match(await client.next(isType('codeResponseHeader')), { csrep_hdr: { code: 400 } })
  await all(client)
  send({ _type: MessageType.codeRequest, csreq: { request_id: 4, method: 'GET', uri: '/answer?headers={"location":"/next"}&code=302' } })
  t.match(await client.next(isType('codeResponseHeader')), { csrep_hdr: { code: 302, header: { location: { values: ['/next'] } } } }, 'a redirection is passed on')
  await all(client)
  send({ _type: MessageType.codeConnect, csconn: { request_id: 5, uri: '/socket', header: { Origin: { values: ['http://127.0.0.1'] } } } })
  t.match(await client.next(isType('codeConnectResponse')), { csconn_rep: { ok: true } })
  send({ _type: MessageType.codeData, csdata: { request_id: 5, ok: true, type: 1, data: Buffer.from('text') } })
  t.match(await client.next(isType('codeData')), { csdata: { ok: true, type: 1, data: Buffer.from('text') } })
  for (let i = 0; i < 2; i++) send({ _type: MessageType.codeData, csdata: { request_id: 5, ok: true, type: 2, data: Buffer.alloc(30_000, i) } })
  for (let i = 0; i < 2; i++) t.match(await client.next(isType('codeData')), { csdata: { ok: true, type: 2, data: Buffer.alloc(30_000, i) } })
  send({ _type: MessageType.codeData, csdata: { request_id: 5, ok: true, type: 1, data: Buffer.from('bye') } })
  t.match(await client.next(isType('codeData')), { csdata: { ok: false, type: 1, data: Buffer.from('as you like') } })
  send({ _type: MessageType.codeConnect, csconn: { request_id: 6, uri: '/refuses' } })
  t.match(await client.next(isType('codeConnectResponse')), { csconn_rep: { ok: false, msg: 'code-server answers 403' } })
  client.send(ended('nas'), ended('nas'))
  await until(() => nas.status().links === 0)
})

t.test('a controlled end of the original', async (t) => {
  const { nas, browser, send } = await controlled(t)
  const posted = browser.get(`${APP}/post?a=1`, { method: 'POST', body: Buffer.from('a body') })
  const { csreq } = await nas.next(isType('codeRequest'))
  t.match(csreq, { method: 'POST', uri: '/post?a=1', body: Buffer.from('a body'), more: false })
  send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: csreq?.request_id, code: 201, header: { 'X-Y': { values: ['1', '2'] }, 'Transfer-Encoding': { values: ['chunked'] } } } })
  for (let index = 0; index < 100; index++) send({ _type: MessageType.codeResponseBody, csrep_body: { request_id: csreq?.request_id, index, mask: index === 99 ? 3 : 1, body: Buffer.alloc(32_768, index) } })
  const got = await posted
  t.match([got.status, got.headers['x-y'], got.body.length], [201, '1, 2', 3_276_800], 'without credit')
  t.match(await browser.get(`${APP}/post`, { method: 'POST', body: Buffer.alloc(50_000) }), { status: 413 })
  const broken = browser.get(`${APP}/gap`)
  const { csreq: second } = await nas.next(isType('codeRequest'))
  send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: second?.request_id, code: 200 } })
  send({ _type: MessageType.codeResponseBody, csrep_body: { request_id: second?.request_id, index: 1, mask: 1, body: Buffer.from('x') } })
  await t.rejects(broken, { code: 'ECONNRESET' })
  const failed = browser.get(`${APP}/bad`)
  const { csreq: third } = await nas.next(isType('codeRequest'))
  send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: third?.request_id, code: 7 } })
  t.match(await failed, { status: 502 })
  const socket = new WebSocket(`${browser.url.replace('http', 'ws')}${APP}/ws`, ['one'], { headers: { cookie: browser.cookie ?? '' } })
  const { csconn } = await nas.next(isType('codeConnect'))
  t.notOk(Object.keys(csconn?.header ?? {}).some((name) => /^(?:sec-|connection|upgrade)/i.test(name)))
  send({ _type: MessageType.codeConnectResponse, csconn_rep: { request_id: csconn?.request_id, ok: true, header: { 'sec-websocket-protocol': { values: ['one'] } } } })
  await once(socket, 'open')
  socket.send('é'.repeat(20_000))
  const pieces = [await nas.next(isType('codeData')), await nas.next(isType('codeData'))].map(({ csdata }) => Buffer.from(csdata?.data ?? []).toString())
  t.equal(pieces.join(''), 'é'.repeat(20_000), 'no character is cut')
  send({ _type: MessageType.codeData, csdata: { request_id: csconn?.request_id, ok: false, type: 1, data: Buffer.from('over') } })
  t.match(await once(socket, 'close'), [1000, Buffer.from('over')])
})

t.test('an answer that is longer than it says is no second answer', async (t) => {
  const { nas, browser, send } = await controlled(t)
  const asked = browser.get(`${APP}/x`)
  const { csreq } = await nas.next(isType('codeRequest'))
  send({ _type: MessageType.codeResponseHeader, csrep_hdr: { request_id: csreq?.request_id, code: 200, header: { 'content-length': { values: ['5'] } } } })
  send({ _type: MessageType.codeResponseBody, csrep_body: { request_id: csreq?.request_id, index: 0, mask: 3, body: Buffer.from('short and more') } })
  await t.rejects(asked, { code: 'ECONNRESET' })
})

t.test('who breaks the protocol loses its link, on both ends', async (t) => {
  const offer = { version: 1, window: 1 << 18 }
  const { nas, client, send } = await control(t, offer)
  for (let i = 0; i < 2; i++) send({ _type: MessageType.codeRequest, csreq: { request_id: 1, method: 'GET', uri: '/waits' } })
  await client.next(isType('disconnect'))
  await until(() => nas.status().links === 0)
  const other = await controlled(t, offer)
  const asked = other.browser.get(`${APP}/x`)
  const { csreq } = await other.nas.next(isType('codeRequest'))
  other.send({ _type: MessageType.codeWindow, cswindow: { request_id: csreq?.request_id, bytes: 0xffffffff } })
  t.match(await asked, { status: 502, text: /more credit than 4294967295 bytes/ })
  await other.nas.next(isType('disconnect'))
  await until(() => other.laptop.status().rules[0].links === 0)
})
