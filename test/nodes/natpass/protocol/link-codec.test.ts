/** Virtual links on the wire (natpass protocol, sections 4.1 and 6). */
import t, { type Test } from 'tap'
import { natpassLinks, type LinkRequest, type LinkResponse } from '../../../../src/nodes/natpass/protocol/link-codec.ts'
import { bodyOf, decodeMessage, frameOf, type Message, type MessageInit } from '../../../../src/nodes/natpass/protocol/messages.ts'
import { toHex } from '../../../helpers/bytes.ts'
import { batches, failureOf, hearText, idle, nothing, texts, until } from '../../../helpers/ends.ts'
import { LINK } from '../../../helpers/natpass/messages.ts'
import { objectPair } from '../../../helpers/transforms/link-mux.ts'
import { vector } from '../../../helpers/natpass/vectors.ts'
import { linkMux, type MuxLink, type Opening } from '../../../../src/transforms/link-mux/index.ts'
import type { Link } from '../../../../src/types.ts'

const message = (name: string): Message => decodeMessage(vector(name).subarray(6))

function codec (own = 'local') {
  const calls: any[] = []
  const resizes: any[] = []
  const exits: any[] = []
  const { encoder, decoder, nextId, tellExit, exitOf } = natpassLinks(own, { onMessage () {}, onResize: (...args) => { resizes.push(args) }, onExit: (...args) => { exits.push(args) } })
  const frames: any = new Proxy({}, { get: (_, name) => (...args: any[]) => { calls.push([name, ...args]) } })
  return {
    calls,
    resizes,
    exits,
    encoder,
    nextId,
    tellExit,
    exitOf,
    getsMessages: (messages: Message[]) => { decoder.push(messages, frames) },
    gets: (...names: string[]) => { decoder.push(names.map(message), frames) },
    gives: () => encoder.take().map((message) => toHex(frameOf(message)))
  }
}

const hexOf = (name: string): string => toHex(vector(name))
const tcp: LinkRequest = { client: 'remote', request: message('link_offer_tcp').creq as LinkRequest['request'] }

t.test('a link between two ends of tunpipe, byte for byte', async (t) => {
  const opener = codec()
  const window = message('link_offer_tcp').creq?.link?.window ?? 0
  opener.encoder.open(LINK, tcp, window)
  t.same(opener.gives(), [hexOf('link_offer_tcp')])
  const target = codec('remote')
  target.gets('link_offer_tcp')
  t.match(target.calls, [['open', LINK, { client: 'local', request: { name: 'rdp', caddr: {} } }, window]])
  target.encoder.accept(LINK, {}, message('link_answer').crep?.link?.window ?? 0)
  t.same(target.gives(), [hexOf('link_answer')])
  opener.gets('link_answer')
  t.match(opener.calls, [['accept', LINK, {}, message('link_answer').crep?.link?.window]])
  opener.encoder.data(LINK, Buffer.from('abc'))
  opener.encoder.window(LINK, 32768)
  opener.encoder.window(LINK, 4294967295)
  opener.encoder.end(LINK)
  t.same(opener.gives(), ['forward_legacy', 'link_window', 'link_window_largest', 'link_end'].map(hexOf))
  target.calls.length = 0
  target.gets('forward_legacy', 'link_window', 'link_window_largest', 'link_end')
  t.match(target.calls, [['data', LINK, Buffer.from('abc')], ['window', LINK, 32768], ['window', LINK, 4294967295], ['end', LINK]])
  t.same(target.gives(), [])
  target.encoder.end(LINK)
  target.encoder.over?.(LINK)
  t.match(target.encoder.take(), [{ _type: 101 }, { _type: 5 }], 'the end, and once both have ended a disconnect for the relay')
  target.encoder.reset(LINK, 1)
  t.same(target.encoder.take(), [], 'told once')
})

t.test('with a peer of the original: no credit, no ends, and disconnects that come twice', async (t) => {
  const { encoder, calls, gets, gives } = codec()
  gets('connect_req_shell_exec_env')
  t.match(calls, [['open', LINK, { client: 'local', request: { name: 'shell' } }, undefined]])
  encoder.accept(LINK, {}, 1000)
  encoder.data(LINK, Buffer.from('x'))
  encoder.window(LINK, 1000)
  const given = encoder.take()
  t.match(given, [{ _type: 4, to: 'local', crep: { ok: true, link: undefined } }, { _type: 11, sdata: { data: Buffer.from('x') } }])
  t.equal(given.length, 2, 'no window for one that does not know credit')
  calls.length = 0
  gets('shell_data_input', 'shell_resize', 'disconnect_client', 'disconnect_client', 'shell_data_input')
  t.match(calls, [['data', LINK, Buffer.from('ls\r')], ['reset', LINK, 0]])
  t.equal(calls.length, 2)
  encoder.reset(LINK, 0)
  t.same(gives(), [])
})

t.test('refusals, of the other end and of the server', async (t) => {
  const { encoder, calls, gets } = codec()
  encoder.open(LINK, tcp, 1000)
  encoder.take()
  gets('connect_rep_error')
  t.match(calls, [['reject', LINK, 2, { text: 'no shell command supported' }]])
  const target = codec('remote')
  target.gets('connect_req_tcp')
  target.encoder.reject(LINK, 2, { text: 'not allowed here' })
  t.match(target.encoder.take(), [{ _type: 4, to: 'local', crep: { ok: false, msg: 'not allowed here' } }])
})

t.test('attaching again: the id, the token and what was received; losses are told from ends', async (t) => {
  const token = Buffer.from('0123456789abcdef')
  const opener = codec()
  const shell: LinkRequest = { client: 'remote', request: { name: 'sh', _type: 2, cshell: {} } }
  const target = codec()
  const passTo = (end: ReturnType<typeof codec>, from: ReturnType<typeof codec>, id: string): any[] => {
    end.calls.length = 0
    end.getsMessages(from.encoder.take().map((message) => decodeMessage(frameOf({ ...message, from: id }).subarray(6))))
    return end.calls
  }
  opener.encoder.open(LINK, shell, 1000)
  t.match(passTo(target, opener, 'local'), [['open', LINK, { client: 'local', again: undefined }, 1000]])
  target.encoder.accept(LINK, { token }, 2000)
  t.match(passTo(opener, target, 'remote'), [['accept', LINK, { token, received: 0 }, 2000]])
  t.same(opener.calls.length, 1)
  for (const end of [opener, target]) {
    end.calls.length = 0
    end.getsMessages([decodeMessage(frameOf({ _type: 5, from: 'server', to: 'any', link_id: LINK }).subarray(6))])
    t.same(end.calls, [['reset', LINK, 64]], 'the server says that the other end is gone')
  }
  const again = { id: LINK, token, received: 2 ** 40 + 1 }
  t.equal(opener.nextId({ ...shell, again }), LINK)
  t.match(opener.nextId(shell), /^[0-9a-f]{16}$/)
  opener.encoder.open(LINK, { ...shell, again }, 1000)
  t.match(passTo(target, opener, 'local'), [['open', LINK, { client: 'local', again }, 1000]])
  target.encoder.accept(LINK, { received: 7 }, 2000)
  t.match(passTo(opener, target, 'remote'), [['accept', LINK, { received: 7 }, 2000]])
  opener.calls.length = 0
  opener.getsMessages([decodeMessage(frameOf({ _type: 5, from: 'remote', to: 'any', link_id: LINK }).subarray(6))])
  t.same(opener.calls, [['reset', LINK, 1]], 'the other end ends it')
  opener.encoder.open(LINK, shell, 1000)
  opener.calls.length = 0
  opener.getsMessages([decodeMessage(frameOf({ _type: 4, from: 'server', to: 'any', link_id: LINK, crep: { msg: 'away' } }).subarray(6))])
  t.same(opener.calls, [['reject', LINK, 65, { text: 'away' }]], 'the server refuses')
})

t.test('attaching again and exits, byte for byte', async (t) => {
  const opener = codec()
  const creq = message('link_attach_shell_received').creq as any
  opener.encoder.open(LINK, { client: 'remote', request: { name: creq.name, _type: creq._type, cshell: creq.cshell }, again: { id: LINK, token: creq.link.token, received: 5_000_000_000 } }, 65_536)
  t.same(opener.gives(), [hexOf('link_attach_shell_received')])
  opener.gets('link_attach_answer_received', 'link_exit_code', 'link_exit_zero', 'link_exit_signal', 'link_exit_unknown')
  t.match(opener.calls, [['accept', LINK, { received: 300 }, 65_536]])
  t.same(opener.exits.map(([, exit]) => exit), [{ code: 3, signal: undefined }, { code: 0, signal: undefined }, { code: undefined, signal: 15 }, { code: undefined, signal: undefined }])
  const target = codec('remote')
  target.gets('link_attach_shell_received')
  t.match(target.calls, [['open', LINK, { again: { id: LINK, received: 5_000_000_000 } }, 65_536]])
  target.encoder.accept(LINK, { received: 300 }, 65_536)
  t.same(target.gives(), [hexOf('link_attach_answer_received')])
})

t.test('a token of another length is none', async (t) => {
  for (const length of [0, 15, 17, 60_000]) {
    const opener = codec()
    opener.encoder.open(LINK, { client: 'remote', request: { name: 'sh', _type: 2, cshell: {} } }, 1000)
    opener.getsMessages([decodeMessage(frameOf({ _type: 4, from: 'remote', to: 'local', link_id: LINK, crep: { ok: true, link: { version: 1, window: 1, token: Buffer.alloc(length) } } }).subarray(6))])
    t.match(opener.calls, [['accept', LINK, { token: undefined }, 1]])
  }
})

t.test('an exit follows the answer, and is known as long as the link is', async (t) => {
  const target = codec()
  target.gets('link_offer_shell')
  target.encoder.accept(LINK, {}, 1)
  target.tellExit(LINK, { code: 3, signal: undefined })
  target.encoder.end(LINK)
  t.match(target.encoder.take(), [{ _type: 4 }, { _type: 102, exit: { code: 3 } }, { _type: 101 }])
  const original = codec()
  original.gets('connect_req_shell_default')
  original.encoder.accept(LINK, {}, 1)
  original.tellExit(LINK, { code: 3, signal: undefined })
  t.match(original.encoder.take(), [{ _type: 4 }])
  const opener = codec()
  opener.encoder.open(LINK, { client: 'remote', request: { name: 'sh', _type: 2, cshell: {} } }, 1000)
  t.equal(opener.exitOf(LINK), undefined)
  opener.gets('link_exit_code')
  t.same(opener.exitOf(LINK), { code: 3, signal: undefined })
  opener.encoder.reset(LINK, 1)
  t.equal(opener.exitOf(LINK), undefined)
})

t.test('how a program has ended: told by the controlled end alone', async (t) => {
  const { encoder, getsMessages, exits } = codec()
  const exit = (from: string, status: object): Message => decodeMessage(frameOf({ _type: 102, from, to: 'local', link_id: LINK, exit: status }).subarray(6))
  getsMessages([exit('remote', { code: 1 })])
  encoder.open(LINK, { client: 'remote', request: { name: 'sh', _type: 2, cshell: {} } }, 1000)
  getsMessages([exit('other', { code: 1 }), exit('remote', { code: 0 }), exit('remote', { signal: 15 }), exit('remote', {})])
  t.same(exits, [[LINK, { code: 0, signal: undefined }], [LINK, { code: undefined, signal: 15 }], [LINK, { code: undefined, signal: undefined }]])
  const target = codec()
  target.gets('connect_req_shell_default')
  target.getsMessages([decodeMessage(frameOf({ _type: 102, from: 'local', to: 'remote', link_id: LINK, exit: { code: 1 } }).subarray(6))])
  t.same(target.exits, [])
})

t.test('nobody but the other end and the server speaks for a link', async (t) => {
  const { encoder, calls, gets, resizes } = codec()
  encoder.open(LINK, { ...tcp, client: 'somebody' }, 1000)
  gets('link_answer', 'forward_legacy', 'disconnect_client', 'shell_resize', 'link_end')
  t.same([calls, resizes], [[], []])
  gets('disconnect_server')
  t.equal(calls.length, 1)
})

t.test('what an original end sends in one message, credit of 0, and answers of who has opened the link', async (t) => {
  const { calls, gets, encoder } = codec()
  gets('connect_req_shell_default')
  const target = natpassLinks('local', { onMessage () {}, onResize () {}, onExit () {} })
  const got: any[] = []
  const frames: any = new Proxy({}, { get: (_, name) => (...args: any[]) => { got.push([name, ...args]) } })
  target.decoder.push([message('connect_req_shell_default'), decodeMessage(frameOf({ _type: 11, from: 'local', to: 'remote', link_id: LINK, sdata: { data: Buffer.alloc(65_000, 7) } }).subarray(6))], frames)
  t.same(got.slice(1).map(([name, , bytes]) => [name, bytes.length]), [['data', 49_152], ['data', 65_000 - 49_152]])
  gets('connect_rep_error')
  t.equal(calls.length, 1, 'an answer of the opener is none')
  encoder.accept(LINK, {}, 0)
  t.equal(encoder.take().length, 1, 'and the link is still there')
  const opener = codec()
  opener.encoder.open(LINK, tcp, 1000)
  opener.gets('link_no_credit')
  t.match(opener.calls, [['accept', LINK, {}, 0]])
  got.length = 0
  target.decoder.push([decodeMessage(frameOf({ _type: 3, from: 'x'.repeat(60_000), to: 'remote', link_id: 'l', creq: {} }).subarray(6)), decodeMessage(frameOf({ _type: 3, from: 'x', to: 'remote', link_id: 'l'.repeat(65), creq: {} }).subarray(6))], frames)
  t.same(got, [], 'requests that cannot be answered in a frame are ignored')
})

t.test('a resize', async (t) => {
  const { gets, resizes } = codec()
  gets('connect_req_shell_default', 'shell_resize')
  t.same(resizes, [[LINK, 24, 300]])
})

/** Both ends of an open link, and what each connection has written since; the other end gets it by `pass`. */
async function linked (t: Test) {
  const ends = ['local', 'remote'].map((id) => {
    const [lower, wire] = objectPair<Message>()
    const written: MessageInit[] = []
    void (async () => { for await (const batch of wire.source) written.push(...batch) })().catch(() => {})
    let opening: Opening<LinkRequest, LinkResponse> | undefined
    const mux = linkMux({ codec: () => natpassLinks(id, { onMessage () {}, onResize () {}, onExit () {} }), onOpen: (asked) => { opening = asked } })(lower as Link<Message, MessageInit>)
    t.teardown(() => { mux.abort(new Error('the test is over')) })
    return { mux, wire, written, opened: () => opening }
  })
  const [here, there] = ends
  /** Hands over the next messages, once there are so many. */
  const pass = async (from: number, count: number): Promise<MessageInit[]> => {
    const { written } = ends[from]
    await until(() => written.length >= count)
    const passed = written.splice(0)
    ends[1 - from].wire.port.send(passed.map((message) => decodeMessage(frameOf(message).subarray(6))))
    return passed
  }
  const opening = here.mux.open({ ...tcp, client: 'remote' })
  await pass(0, 1)
  await until(() => there.opened() !== undefined)
  const target = there.opened()?.accept({}) as MuxLink<LinkResponse>
  await pass(1, 1)
  return { opener: await opening, target, muxes: ends.map(({ mux }) => mux), pass, written: ends.map(({ written }) => written) }
}

t.test('ends that cross: the disconnect is written at once', async (t) => {
  const { opener, target, muxes, pass, written } = await linked(t)
  const sent = [opener.sink(nothing()), target.sink(nothing())]
  await until(() => written.every(({ length }) => length === 1))
  t.match(await Promise.all([pass(0, 1), pass(1, 1)]), [[{ _type: 101, from: 'local', to: 'remote' }], [{ _type: 101, from: 'remote', to: 'local' }]])
  await Promise.all(sent)
  await until(() => written.every(({ length }) => length === 1))
  t.match(written, [[{ _type: 5, from: 'local' }], [{ _type: 5, from: 'remote' }]])
  t.same(await Promise.all([hearText(opener.source), hearText(target.source)]), ['', ''])
  t.same(muxes.map(({ links }) => links), [0, 0])
})

t.test('a disconnect behind the end of a direction: what was sent before can be read', async (t) => {
  const { opener, target, pass } = await linked(t)
  await target.sink(batches(texts('the last words')))
  target.abort(new Error('over'))
  t.match(await pass(1, 3), [{ _type: 6 }, { _type: 101 }, { _type: 5 }])
  t.match(await failureOf(opener.sink(idle().source)), { code: 'ERR_LINK_RESET' })
  t.equal(await hearText(opener.source), 'the last words')
})

t.test('links of desktops and of code-server carry their messages whole, and no others', async (t) => {
  const desktop = ['vnc_ctrl', 'vnc_image_raw_1x1', 'vnc_image_jpeg_header_only', 'vnc_mouse_move', 'vnc_mouse_right_down', 'vnc_keyboard', 'vnc_cad', 'vnc_scroll_negative', 'vnc_clipboard_get', 'vnc_clipboard_set']
  const code = ['code_request', 'code_response_hdr', 'code_response_body_last', 'code_connect', 'code_connect_response_ok', 'code_data_binary', 'link_code_request_more', 'link_code_request_body', 'link_code_request_gone', 'link_code_window', 'link_code_data_more']
  for (const [type, own, others] of [['connect_req_vnc', desktop, code], ['connect_req_code', code, desktop]] as const) {
    const end = codec()
    end.gets(type)
    end.encoder.accept(LINK, {}, undefined)
    end.encoder.take()
    for (const name of own) {
      end.calls.length = 0
      const sent = message(name)
      end.getsMessages([Object.assign(message(name), { link_id: LINK, from: 'local' })])
      t.match(end.calls, [['data', LINK, Buffer.from(bodyOf(sent))]], name)
      end.encoder.data(LINK, end.calls[0][2])
      const [answer] = end.encoder.take()
      t.equal(toHex(bodyOf(answer)), toHex(bodyOf(sent)), `${name} goes on as it came`)
      t.match(answer, { from: 'local', to: 'local', link_id: LINK })
    }
    end.calls.length = 0
    end.getsMessages([...others, 'shell_resize'].map((name) => Object.assign(message(name), { link_id: LINK, from: 'local' })))
    t.same(end.calls, [])
  }
})
