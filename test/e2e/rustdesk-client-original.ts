/**
 * Our RustDesk servers with a client that has the wire of the original one, where there is such a client: RUSTDESK_CLIENT_BIN names it. With
 * HBBS_BIN and HBBR_BIN the same is done with the original servers, and with one of theirs and one of ours. No part of the suite; as root:
 *
 * `RUSTDESK_CLIENT_BIN=/usr/bin/client HBBS_BIN=/usr/bin/hbbs HBBR_BIN=/usr/bin/hbbr npx tap --timeout=1800 test/e2e/rustdesk-client-original.ts`
 *
 * SECONDS_OF_LOAD is how long the load lasts, 10 when it is not set, SPEED_OF_LOAD how many bytes a second each pair sends, as many as go when
 * it is not set. What the client has to understand, with `--server HOST --key KEY` always:
 *
 * - `serve --id ID`, the controlled side: registers, answers what the server asks, and sends back what comes in a session. `--uuid TEXT` is
 *   another machine, `--ws` takes WebSocket for all, `--register udp|tcp` another way for the registration. Events: `started`, `pk_response`
 *   with `result`, `peer_response` with `request_pk`, `heartbeat`, `missed` for each answer that has not come, `mediator_error`.
 * - `connect --id ID`, the other side: NAT test, request, direct or by relay, key exchange, data and a comparison of it. `--bytes N` and
 *   `--seconds N` are how much, `--sizes N,N` single messages, `--plain` no encryption, `--late MS` comes to the relay that much later,
 *   `--latency MS` to the other side, `--rate BYTES` a second, `--force-relay`, `--ws`, `--token TEXT`, `--relay-key KEY`. Events:
 *   `secure_tcp`, `relay_agreed`, `connected`, `done`, `failed`.
 * - `online --ids ID,ID` or `--prefix TEXT --count N`; `register-flood --prefix TEXT --count N --source ADDRESS --seconds N`, each id from an
 *   address of its own, the first of which is named.
 */
import t, { type Test } from 'tap'
import { NatLab, RELAY_HOST, type Home, type RouterKind } from '../helpers/network/nat-lab.ts'
import { UPLINK, type Namespace } from '../helpers/network/namespaces.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { newHome } from '../helpers/programs/homes.ts'
import { call, OriginalClient, RUSTDESK_CLIENT_BIN, type Call, type ClientOptions } from '../helpers/rustdesk/original-client.ts'
import { HBBR_BIN, HBBS_BIN, originals, ourRelay, ourRendezvous, ours, type Servers, type ServersInit, type StartServers } from '../helpers/rustdesk/server-pairs.ts'

const LOAD = Number(process.env.SECONDS_OF_LOAD ?? 10)
/** Bytes a second of each pair; 0 is no limit. */
const SPEED = Number(process.env.SPEED_OF_LOAD ?? 0)
const TIMEOUT = 300_000
const MIB = 2 ** 20

/** Around the lengths at which the header of a frame grows, and one that is many reads. */
const SIZES = [1, 63, 64, 16_383, 16_384, 5 * MIB].join()

/** Milliseconds that the answer of the server takes; the controlled one listens only after it has answered. */
const LATENCY = 30

const PAIRS = 4
const FLOOD = 1000

/** What A sees of that: the relay gives it up, or B does not speak in time. */
const MISSED_EACH_OTHER = ['Reset by the peer', 'deadline has elapsed']

const hasOriginalRelay = (start: StartServers): boolean => start === originals || start === ourRendezvous

/** Servers on the internet, and what clients say to reach them. */
class Site {
  readonly lab: NatLab
  readonly #start: StartServers
  #servers: Servers

  private constructor (lab: NatLab, start: StartServers, servers: Servers) {
    this.lab = lab
    this.#start = start
    this.#servers = servers
  }

  static async open (t: Test, start: StartServers, init: Partial<ServersInit> = {}): Promise<Site> {
    const lab = await NatLab.open(t)
    return new Site(lab, start, await start(lab.internet, { address: RELAY_HOST, ...init }))
  }

  /** Kills the servers and starts them again, or others, in the same folder. */
  async restart (start = this.#start): Promise<void> {
    await this.#servers.stop()
    this.#servers = await start(this.lab.internet, { address: RELAY_HOST, folder: this.#servers.folder })
  }

  get reach (): ClientOptions { return { server: RELAY_HOST, key: this.#servers.key } }

  /** A peer that is to be controlled; it is registered. */
  async peer (host: Namespace, id: string, options: ClientOptions = {}, home?: string): Promise<OriginalClient> {
    const peer = new OriginalClient(host, 'serve', { ...this.reach, id, ...options }, home)
    await peer.event('started')
    return peer
  }

  async registered (t: Test, host: Namespace, id: string, options?: ClientOptions): Promise<OriginalClient> {
    const peer = await this.peer(host, id, options)
    t.equal((await peer.event('pk_response')).result, 'OK', `${id} is registered`)
    return peer
  }

  /** Calls again where the two have missed each other at the original relay, which happens when they come to it at the same moment. */
  async call (host: Namespace, id: string, options: ClientOptions = {}): Promise<Call> {
    const once = (): Promise<Call> => call(host, { ...this.reach, id, bytes: MIB, latency: LATENCY, ...options })
    const first = await once()
    return hasOriginalRelay(this.#start) && MISSED_EACH_OTHER.includes(String(first.error)) ? await once() : first
  }

  async online (host: Namespace, options: ClientOptions): Promise<any> {
    return await new OriginalClient(host, 'online', { ...this.reach, ...options }).event('online')
  }
}

/**
 * A home behind a router that lets TCP be opened from both sides: the second one does not begin with the number that the router has seen from
 * the first, as it is another socket.
 */
async function natted (lab: NatLab, name: string, kind: RouterKind = 'port-restricted'): Promise<Home> {
  const home = await lab.home(name, { kind })
  await home.router.run('sh', '-c', 'echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal')
  return home
}

/** A host that drops what it has not asked for; if it refused that instead, the NAT of the other side would close the way. */
async function guarded (home: Home, name: string): Promise<Namespace> {
  const host = await home.host(name)
  await host.filter(`table inet guard {
    chain input { type filter hook input priority 0; iifname ${UPLINK} ct state new drop; }
  }`)
  return host
}

/** No TCP between two homes any more; that to the servers stays. */
async function cut (lab: NatLab, a: Home, b: Home): Promise<void> {
  for (const [from, to] of [[a, b], [b, a]]) await lab.internet.filter(`add rule inet lab cut iifname ${from.device} oifname ${to.device} meta l4proto tcp drop`)
}

const DIRECT = { isDirect: true, isLocal: false, kind: 'TCP', isSecured: true, isSame: true }
const LOCAL = { ...DIRECT, isLocal: true }
const RELAYED = { isDirect: false, kind: 'Relay', isSecured: true, isSame: true }

function passes (t: Test, { events, ...call }: Call, expected: Partial<Call>, name: string): void {
  if (!t.match(call, expected, name)) t.comment(events.map((event) => JSON.stringify(event)).join('\n'))
}

/** Who asked for the relay: A by a request of its own, after it had an address of B. */
const isRequested = ({ events }: Call): boolean => events.some(({ event }) => event === 'relay_agreed')

async function ways (t: Test, start: StartServers): Promise<void> {
  const site = await Site.open(t, start)
  const { lab } = site
  const [near, far, home, other, strange] = [await lab.home('near', { kind: 'none' }), await lab.home('far', { kind: 'none' }), await natted(lab, 'home'), await natted(lab, 'other'), await natted(lab, 'strange', 'symmetric')]
  const [a, open, inside, neighbour, behind, odd] = [await guarded(near, 'a'), await far.host('b'), await home.host('c'), await home.host('d', 3), await other.host('e'), await strange.host('f')]
  const mebibytes10 = { bytes: 10 * MIB }
  for (const [host, id] of [[open, 'open-00001'], [inside, 'inside-001'], [behind, 'behind-001'], [odd, 'strange-01']] as const) await site.registered(t, host, id)

  passes(t, await site.call(a, 'open-00001', mebibytes10), DIRECT, 'both have addresses of the internet')
  passes(t, await site.call(neighbour, 'inside-001', mebibytes10), LOCAL, 'both behind one NAT')
  passes(t, await site.call(neighbour, 'behind-001', mebibytes10), DIRECT, 'two NATs')
  passes(t, await site.call(a, 'behind-001'), DIRECT, 'a NAT before the controlled one')
  passes(t, await site.call(neighbour, 'open-00001'), DIRECT, 'a NAT before the other')
  passes(t, await site.call(odd, 'behind-001', mebibytes10), RELAYED, 'a symmetric NAT before the one, another NAT before the other')
  passes(t, await site.call(neighbour, 'strange-01', mebibytes10), RELAYED, 'a symmetric NAT before the controlled one')
  passes(t, await site.call(a, 'open-00001', { 'force-relay': true, ...mebibytes10 }), RELAYED, 'a relay is wanted')
  const forced = await site.call(neighbour, 'inside-001', { 'force-relay': true })
  passes(t, forced, RELAYED, 'a relay is wanted, behind one NAT')
  t.ok(isRequested(forced), 'the relay is requested by A')
  passes(t, await site.call(a, 'open-00001', { 'force-relay': true, late: 2000 }), RELAYED, 'the controlled one speaks at the relay long before the other comes')
  await cut(lab, near, far)
  const requested = await site.call(a, 'open-00001', { 'nat-type': 0, ...mebibytes10 })
  passes(t, requested, RELAYED, 'no direct way')
  t.ok(isRequested(requested))

  passes(t, await site.call(a, 'open-00001', { key: 'd3Jvbmc=' }), { error: 'Key mismatch' }, 'a wrong key')
  passes(t, await site.call(a, 'nobody-001'), { error: 'ID does not exist' }, 'an id that nobody has')
  const ids = ['nobody-001', 'open-00001', 'inside-001', 'nobody-002', 'nobody-003', 'nobody-004', 'nobody-005', 'behind-001', 'strange-01', 'nobody-006']
  t.match(await site.online(a, { ids: ids.join() }), { ids: ['open-00001', 'inside-001', 'behind-001', 'strange-01'], states: '6180' })
  t.match(await site.online(a, { prefix: 'nobody', count: 1000 }), { asked: 1000, online: 0, bytes: 125 })

  const rival = await site.peer(a, 'open-00001', { uuid: 'another machine' })
  t.equal((await rival.event('pk_response')).result, 'UUID_MISMATCH', 'the id of another machine')
  t.equal((await rival.event('pk_response')).result, 'OK', 'it takes an id by chance')
}

/** Single messages of all lengths, and much data, between all kinds of ends at the relay. */
async function ends (t: Test, start: StartServers): Promise<void> {
  const site = await Site.open(t, start)
  const [near, far, away] = [await site.lab.home('near', { kind: 'none' }), await site.lab.home('far', { kind: 'none' }), await site.lab.home('away', { kind: 'none' })]
  const [a, b, c] = [await guarded(near, 'a'), await far.host('b'), await away.host('c')]
  await site.registered(t, b, 'by-tcp-001')
  await site.registered(t, c, 'by-ws-0001', { ws: true, register: 'udp' })
  for (const [id, of] of [['by-tcp-001', 'TCP'], ['by-ws-0001', 'WebSocket']]) {
    for (const [options, kind] of [[{ 'force-relay': true }, 'Relay'], [{ ws: true }, 'WebSocket']] as const) {
      for (const isPlain of [true, false]) {
        // it drops the empty message by which a client says that it has no key, so that no session comes about
        if (isPlain && kind + of !== 'RelayTCP' && hasOriginalRelay(start)) continue
        const result = await site.call(a, id, { ...options, ...isPlain && { plain: true }, sizes: SIZES, bytes: 10 * MIB })
        passes(t, result, { ...RELAYED, kind, isSecured: !isPlain }, `${kind} and ${of}, ${isPlain ? 'plain' : 'encrypted'}`)
      }
    }
  }
}

async function alwaysRelayed (t: Test, start: StartServers): Promise<void> {
  const site = await Site.open(t, start, { isAlwaysRelayed: true, key: '_' })
  const [near, far] = [await site.lab.home('near', { kind: 'none' }), await natted(site.lab, 'far')]
  const [a, b, c] = [await guarded(near, 'a'), await far.host('b'), await far.host('c', 3)]
  await site.registered(t, b, 'peer-00001')
  passes(t, await site.call(a, 'peer-00001'), RELAYED, 'always by relay')
  passes(t, await site.call(c, 'peer-00001'), LOCAL, 'but for two behind one NAT')
  passes(t, await site.call(a, 'peer-00001', { 'relay-key': 'wrong' }), { error: 'Reset by the peer' }, 'a wrong key for the relay')
}

/** What the original servers do not have: encryption between clients and the server, and registrations by TCP and WebSocket. */
async function beyondOriginals (t: Test, start: StartServers): Promise<void> {
  const site = await Site.open(t, start)
  const [near, far, away] = [await site.lab.home('near', { kind: 'none' }), await natted(site.lab, 'far'), await natted(site.lab, 'away')]
  const [a, b, c] = [await guarded(near, 'a'), await far.host('b'), await away.host('c')]
  const byTcp = new OriginalClient(b, 'serve', { ...site.reach, id: 'by-tcp-001', register: 'tcp' })
  t.match(await byTcp.event('started'), { by: 'tcp', secured: true })
  const byWebSocket = await site.registered(t, c, 'by-ws-0001', { ws: true })
  t.equal((await byTcp.event('pk_response')).result, 'OK')
  for (const when of ['at once', 'after signs of life']) {
    passes(t, await site.call(a, 'by-tcp-001'), DIRECT, `registered by TCP, ${when}`)
    passes(t, await site.call(a, 'by-ws-0001'), RELAYED, `registered by WebSocket, ${when}`)
    const result = await site.call(a, 'by-tcp-001', { token: 'of a login' })
    passes(t, result, DIRECT, `a client that is logged in, ${when}`)
    t.ok(result.events.some(({ event, secured }) => event === 'secure_tcp' && secured === true))
    passes(t, await site.call(a, 'by-ws-0001', { ws: true }), { ...RELAYED, kind: 'WebSocket' }, `WebSocket on both sides, ${when}`)
    if (when === 'at once') for (const peer of [byTcp, byWebSocket]) for (let i = 0; i < 2; i++) await peer.event('heartbeat')
  }
  t.match(await site.online(a, { ids: 'by-tcp-001,by-ws-0001' }), { online: 2 })
  t.same([byTcp, byWebSocket].map((peer) => peer.count('mediator_error')), [0, 0], 'no connection has ended')
}

/** The peer learns that its server was restarted, and is back after two answers. */
async function restarted (t: Test, start: StartServers): Promise<void> {
  const site = await Site.open(t, start)
  const [near, far, gone] = [await site.lab.home('near', { kind: 'none' }), await natted(site.lab, 'far'), await natted(site.lab, 'gone')]
  const [a, b, c] = [await guarded(near, 'a'), await far.host('b'), await gone.host('c')]
  const peer = await site.registered(t, b, 'peer-00001')
  await (await site.registered(t, c, 'gone-00001')).stop()
  passes(t, await site.call(a, 'peer-00001'), DIRECT, 'before')
  await site.restart()
  passes(t, await site.call(a, 'gone-00001'), { error: 'Remote desktop is offline' }, 'known, but not there')
  while ((await peer.event('peer_response')).request_pk !== true);
  while ((await peer.event('peer_response')).request_pk !== false);
  passes(t, await site.call(a, 'peer-00001'), DIRECT, 'after a restart')
}

/** The peers of the original servers are those of ours, and back again. */
async function handedOver (t: Test): Promise<void> {
  const site = await Site.open(t, originals)
  const [near, far, away] = [await site.lab.home('near', { kind: 'none' }), await natted(site.lab, 'far'), await natted(site.lab, 'away')]
  const [a, b, c] = [await guarded(near, 'a'), await far.host('b'), await away.host('c')]
  const [homeOfB, homeOfC] = [newHome(), newHome()]
  const offline = { error: 'Remote desktop is offline' }
  const visit = async (host: Namespace, id: string, home: string): Promise<void> => {
    const peer = await site.peer(host, id, {}, home)
    while ((await peer.event('peer_response')).request_pk !== false);
    passes(t, await site.call(a, id), DIRECT, id)
    await peer.stop()
  }
  await visit(b, 'theirs-001', homeOfB)
  await site.restart(ours)
  passes(t, await site.call(a, 'theirs-001'), offline, 'theirs is known to ours')
  await visit(b, 'theirs-001', homeOfB)
  await visit(c, 'fromus-001', homeOfC)
  await site.restart(originals)
  for (const id of ['theirs-001', 'fromus-001']) passes(t, await site.call(a, id), offline, `${id} is known to theirs`)
  const rival = await site.peer(a, 'fromus-001', { uuid: 'another machine' })
  t.equal((await rival.event('pk_response')).result, 'UUID_MISMATCH')
  await visit(c, 'fromus-001', homeOfC)
}

async function load (t: Test, start: StartServers): Promise<void> {
  const site = await Site.open(t, start)
  const [near, far, many] = [await site.lab.home('near', { kind: 'none' }), await site.lab.home('far', { kind: 'none' }), await site.lab.home('many', { kind: 'none' })]
  const [a, b, crowd] = [await guarded(near, 'a'), await far.host('b'), await many.host('c')]
  await crowd.ip('route', 'add', 'local', '10.9.0.0/16', 'dev', 'lo')
  await many.router.ip('route', 'add', '10.9.0.0/16', 'via', '198.51.103.2')
  await site.lab.internet.ip('route', 'add', '10.9.0.0/16', 'via', many.address)
  const peers = []
  for (let i = 0; i < PAIRS; i++) peers.push(await site.registered(t, b, `peer-0000${i}`))
  const flood = new OriginalClient(crowd, 'register-flood', { ...site.reach, prefix: 'crowd', count: FLOOD, source: '10.9.0.1', seconds: LOAD + 10 })
  await flood.event('flood')
  const calls = await Promise.all(peers.map((_, i) => site.call(a, `peer-0000${i}`, { ...i % 2 === 0 ? { 'force-relay': true } : { ws: true }, seconds: LOAD, rate: SPEED })))
  for (const [i, result] of calls.entries()) passes(t, result, { ...RELAYED, kind: i % 2 === 0 ? 'Relay' : 'WebSocket' }, `pair ${i}`)
  t.comment(calls.map(({ bytes = 0, mbitEachWay = 0, slowestMs = 0 }) => `${Math.round(bytes / MIB)} MiB each way, ${mbitEachWay} Mbit/s, longest wait ${slowestMs} ms`).join('\n'))
  t.match(await site.online(a, { prefix: 'crowd', count: FLOOD }), { online: FLOOD }, 'all are online')
  const flooded = await flood.event('flooded', (LOAD + 60) * 1000)
  t.match(flooded, { confirmed: FLOOD, refused: 0, mismatched: 0 })
  t.comment(`${flooded.answers} answers, ${flooded.missed} missed`)
  for (const peer of peers) t.equal(peer.count('missed'), 0, 'none of the four has missed an answer')
}

if (RUSTDESK_CLIENT_BIN === undefined) t.plan(0, 'only when asked for: set RUSTDESK_CLIENT_BIN, and HBBS_BIN and HBBR_BIN to compare with')
else if (await canRun(t, ['nft'])) {
  const hasOriginals = HBBS_BIN !== undefined && HBBR_BIN !== undefined
  const pairs: Array<[name: string, start: StartServers]> = [['our servers', ours]]
  if (hasOriginals) pairs.push(['the original servers', originals], ['our rendezvous server and the original relay', ourRendezvous], ['the original rendezvous server and our relay', ourRelay])
  for (const [name, start] of pairs) {
    await t.test(`${name}: ways to each other`, { timeout: TIMEOUT }, (t) => ways(t, start))
    await t.test(`${name}: TCP and WebSocket at the relay`, { timeout: TIMEOUT }, (t) => ends(t, start))
    await t.test(`${name}: always by relay`, { timeout: TIMEOUT }, (t) => alwaysRelayed(t, start))
    if (start === ours || start === ourRendezvous) await t.test(`${name}: beyond the original servers`, { timeout: TIMEOUT }, (t) => beyondOriginals(t, start))
    await t.test(`${name}: a restart`, { timeout: TIMEOUT }, (t) => restarted(t, start))
    await t.test(`${name}: load`, { timeout: TIMEOUT + 1000 * LOAD }, (t) => load(t, start))
  }
  if (hasOriginals) await t.test('the database, here and back', { timeout: TIMEOUT }, handedOver)
}
