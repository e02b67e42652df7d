/** What two members of a candy network do that look for a direct path, whichever programs they are: behind routers, and when a path fails. */
import { join } from 'node:path'
import type { Test } from 'tap'
import { tcp } from '../../../bench/tun/load.ts'
import { sendRequest } from '../../../src/cli/control/client.ts'
import { NatLab, RELAY_HOST, SECOND_HOST, type Home, type HomeInit } from '../network/nat-lab.ts'
import type { Namespace } from '../network/namespaces.ts'
import { joined, PASSWORD, startPeer, startRelay, type Program } from '../network/programs.ts'
import { Agent, answers, eventually } from '../network/traffic.ts'
import { executable } from '../programs/executables.ts'
import { newHome } from '../programs/homes.ts'
import { startCandy } from './original.ts'

const PORT = 8080
const LISTEN = `ws://${RELAY_HOST}:${PORT}`
const SERVER_URL = `${LISTEN}/`
const STUN = `stun://${RELAY_HOST}:3478`
const STUN_LISTEN = ['--stun-listen', `${RELAY_HOST}:3478`, '--stun-second', SECOND_HOST]

/** Bits a second of the ways on which something is transferred, and the bytes, each way. */
const WAY = 30_000_000
const BYTES = 15_000_000

/** Bytes of a ping that no keep-alive reaches. */
const PING = 1000

/** What the connections of two members to the relay carry by themselves meanwhile, at most. */
const IDLE = 2000

export interface MemberInit {
  /** With its prefix. */
  address: string
  /** Of its UDP socket. Default: any. */
  port?: number
  /** The control socket of one of ours. */
  control: string
}

/** Starts a member, and waits until it is in the network. */
export type StartMember = (t: Test, host: Namespace, init: MemberInit) => Promise<void>

export const real: StartMember = async (t, host, { address, port = 0 }) => {
  const candy = startCandy(t, host, { mode: 'client', websocket: SERVER_URL, password: PASSWORD, tun: address, stun: STUN, route: 5, port })
  await candy.find(/listen port: \d+/)
}

export const ours: StartMember = async (_t, host, { address, port, control }) => {
  const udp = port === undefined ? [] : ['--port', String(port)]
  await joined(startPeer(host, { url: SERVER_URL, stateDir: newHome(), args: ['--address', address, '--stun', STUN, '--direct', 'on', '--control', control, ...udp] }))
}

interface Site {
  home: Home
  host: Namespace
  address: string
  control: string
}

interface Pair {
  lab: NatLab
  relay: Program
  a: Site
  b: Site
}

interface PairInit {
  a?: HomeInit
  b?: HomeInit
  /** Of the UDP socket of the first. */
  port?: number
  /** Both are in the first home. */
  together?: boolean
}

export class DirectSuite {
  readonly #startA: StartMember
  readonly #startB: StartMember

  constructor (a: StartMember, b: StartMember) {
    this.#startA = a
    this.#startB = b
  }

  async #open (t: Test, { a: ofA, b: ofB, port, together = false }: PairInit = {}): Promise<Pair> {
    const lab = await NatLab.open(t)
    const relay = await startRelay(lab.internet, LISTEN, ...STUN_LISTEN)
    const homeOfA = await lab.home('a', ofA)
    const a: Site = { home: homeOfA, host: await homeOfA.host('one'), address: '10.77.0.2', control: join(newHome(), 'a') }
    const homeOfB = together ? homeOfA : await lab.home('b', ofB)
    const b: Site = { home: homeOfB, host: await homeOfB.host('two', together ? 3 : 2), address: '10.77.0.3', control: join(newHome(), 'b') }
    await Promise.all([this.#startA(t, a.host, { ...a, address: `${a.address}/24`, port }), this.#startB(t, b.host, { ...b, address: `${b.address}/24` })])
    return { lab, relay, a, b }
  }

  /** Two in their homes, as most are. */
  async homes (t: Test): Promise<void> {
    const { lab, a, b } = await this.#open(t)
    t.ok(await answers(a.host, b.address, 5), 'they reach each other at once')
    t.ok(await foundDirect(t, lab, a, b), 'by UDP after a while')
    t.ok(await isDirect(lab, b, a), 'both ways')
    let rate = 0
    const { direct, relayed } = await lab.passing(async () => { ({ rate } = await tcp({ from: a.host, to: b.host, address: b.address }, 2, 0)) })
    t.comment(`${Math.round(rate / 1e6)} Mbit/s of TCP, ${direct} bytes direct, ${relayed} by the relay`)
    t.ok(direct > 1_000_000)
    t.ok(relayed < IDLE, 'the relay has no part in it')
    await lab.block('tcp', PORT)
    t.ok(await isDirect(lab, a, b), 'nor is it needed')
    t.ok((await tcp({ from: b.host, to: a.host, address: a.address }, 2, 0)).rate > 0)
    await lab.unblock()
  }

  /** UDP is cut while TCP goes both ways, and mended again. */
  async cut (t: Test): Promise<void> {
    const { lab, a, b } = await this.#open(t)
    for (const { home } of [a, b]) if (!await lab.slow(home, WAY)) t.comment('this kernel has no token bucket filter')
    t.ok(await foundDirect(t, lab, a, b))
    const before = await lab.passed()
    const [one, two] = [new Agent(a.host), new Agent(b.host)]
    const port = await two.call('serveExchange', BYTES)
    const exchanging = one.call('exchange', b.address, port, BYTES)
    t.ok(await eventually(async () => (await lab.passed()).direct > before.direct + BYTES / 3), 'a third of it is direct')
    const { relayed } = await lab.passed()
    await lab.cutBoth(a.home, b.home)
    const [atA, atB] = [await exchanging, await two.call('exchanged', port)]
    t.same([atA.received, atB?.received], [atB?.sent, atA.sent], 'all has come as it was sent')
    t.ok((await lab.passed()).relayed > relayed + BYTES / 3, 'the rest by the relay')
    t.comment(`the longest pause: ${Math.round(Math.max(atA.pause, atB?.pause ?? 0))} ms`)
    await lab.mend()
  }

  /** UDP is cut until the relay carries the packets. */
  async mended (t: Test): Promise<void> {
    const { lab, a, b } = await this.#open(t)
    t.ok(await foundDirect(t, lab, a, b))
    await lab.cutBoth(a.home, b.home)
    t.ok(await eventually(() => isRelayed(lab, a, b)), 'by the relay')
    await lab.mend()
    t.ok(await foundDirect(t, lab, a, b), 'direct again')
  }

  /** UDP is cut in one direction, so that one of them still hears the other. */
  async oneWay (t: Test): Promise<void> {
    const { lab, a, b } = await this.#open(t)
    t.ok(await foundDirect(t, lab, a, b))
    await lab.cut(a.home, b.home)
    t.ok(await eventually(() => isRelayed(lab, a, b)), 'by the relay, both ways')
    t.ok(await isRelayed(lab, b, a))
    await lab.mend()
    t.ok(await foundDirect(t, lab, b, a), 'direct again')
  }

  /** The relay ends and comes back. No part of `run`, as real clients give up their direct paths with their connections. */
  async withoutRelay (t: Test): Promise<void> {
    const { lab, relay, a, b } = await this.#open(t)
    t.ok(await foundDirect(t, lab, a, b))
    await relay.stop('SIGKILL')
    for (let count = 0; count < 5; count++) t.ok(await isDirect(lab, a, b), 'direct without a relay')
    const again = await startRelay(lab.internet, LISTEN, ...STUN_LISTEN)
    for (let count = 0; count < 2; count++) await again.logged('peer joined')
    t.ok(await isDirect(lab, a, b))
    await lab.cutBoth(a.home, b.home)
    t.ok(await eventually(() => isRelayed(lab, b, a)), 'by the relay again')
  }

  /** No way for UDP at all. */
  async symmetric (t: Test): Promise<void> {
    const { lab, a, b } = await this.#open(t, { a: { kind: 'symmetric' }, b: { kind: 'symmetric' } })
    for (let count = 0; count < 5; count++) t.ok(await answers(a.host, b.address, 2), 'by the relay')
    t.ok(await isRelayed(lab, a, b))
  }

  /** The same, and what ours tell of it. No part of `run`, as real clients tell nothing. */
  async explained (t: Test): Promise<void> {
    const { lab, a, b } = await this.#open(t, { a: { kind: 'symmetric' }, b: { kind: 'symmetric' } })
    t.ok(await eventually(async () => (await Promise.all([a, b].map(direct))).every(({ nat }) => nat.name === 'symmetric' && nat.filtering !== 'unknown')), 'the relay has told both what their routers do')
    t.match(await direct(a), { mapping: { state: 'off' }, nat: { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' }, stun: [{ status: 'answered' }] }, 'nobody asks a router before there is a reason')
    t.match(await explained(a, b), { path: 'relay', reason: 'not wanted', member: { nat: { name: 'unknown' } } })
    t.ok(await answers(a.host, b.address, 2), 'by the relay')
    t.ok(await eventually(async () => (await direct(a)).mapping.state !== 'off'), 'now the router is asked')
    t.ok(await eventually(async () => (await explained(a, b)).reason === 'symmetric'))
    t.match(JSON.parse(await ask(b, 'explain', '--json', a.address)).explanation, { path: 'relay', reason: 'symmetric', state: 'waiting', own: { nat: { name: 'symmetric' } }, member: { nat: { name: 'symmetric' } } })
    t.match(await ask(a, 'explain', b.address), /^10\.77\.0\.3: relay, state waiting\nwhy: the NATs do not let them meet: symmetric here, symmetric there; the next attempt in \d+ s\nwhat would help: a UDP port /)
    t.ok(await isRelayed(lab, a, b))
  }

  /** Whoever has a forwarded port is reached from behind any router. */
  async fullCone (t: Test): Promise<void> {
    const port = 4000
    const { lab, a, b } = await this.#open(t, { a: { forwarded: { [port]: 2 } }, b: { kind: 'symmetric' }, port })
    t.ok(await foundDirect(t, lab, a, b))
  }

  /** Two hosts behind one router. */
  async together (t: Test): Promise<void> {
    const { lab, a, b } = await this.#open(t, { together: true })
    t.ok(await eventually(async () => {
      const { direct, relayed } = await lab.passing(() => pinged(a, b))
      return direct === 0 && relayed < PING
    }), 'their packets stay at home')
    t.ok(await answers(b.host, a.address, 2))
  }

  /** Two hosts with the same private address, as routers of one make give them. */
  async sameAddresses (t: Test): Promise<void> {
    const { lab, a, b } = await this.#open(t, { a: { lan: '192.168.1' }, b: { lan: '192.168.1' } })
    t.ok(await foundDirect(t, lab, a, b))
  }

  /** Runs all of them. */
  async run (t: Test): Promise<void> {
    const timeout = 120_000
    await t.test('two homes', { timeout }, (t) => this.homes(t))
    await t.test('the path is cut while TCP goes both ways', { timeout }, (t) => this.cut(t))
    await t.test('the path is cut, and mended', { timeout }, (t) => this.mended(t))
    await t.test('the path is cut in one direction', { timeout }, (t) => this.oneWay(t))
    await t.test('two symmetric routers', { timeout }, (t) => this.symmetric(t))
    await t.test('a forwarded port, and a symmetric router', { timeout }, (t) => this.fullCone(t))
    await t.test('behind one router', { timeout }, (t) => this.together(t))
    await t.test('two homes with the same private addresses', { timeout }, (t) => this.sameAddresses(t))
  }
}

/** What one of ours says to a command. */
const ask = (site: Site, ...command: string[]): Promise<string> => site.host.run(process.execPath, executable('peer'), ...command, '--control', site.control)

/** The same without a process for each question: a socket of the file system is none of the network. */
const control = (site: Site, command: object): Promise<any> => sendRequest({ path: site.control, program: 'peer' }, command as Parameters<typeof sendRequest>[1])

const direct = async (site: Site): Promise<any> => (await control(site, { command: 'status' })).services[0].direct

const explained = async (from: Site, to: Site): Promise<any> => (await control(from, { command: 'explain', member: to.address })).explanation

async function pinged (from: Site, to: Site): Promise<void> {
  await from.host.run('ping', '-n', '-c', '1', '-W', '1', '-s', String(PING), to.address)
}

/** Whether a ping and its answer go this way; false when it is lost. */
async function goes (lab: NatLab, from: Site, to: Site, way: 'direct' | 'relayed'): Promise<boolean> {
  try {
    const passed = await lab.passing(() => pinged(from, to))
    return passed[way] > 2 * PING && passed[way === 'direct' ? 'relayed' : 'direct'] < PING
  } catch {
    return false
  }
}

const isDirect = (lab: NatLab, from: Site, to: Site): Promise<boolean> => goes(lab, from, to, 'direct')
const isRelayed = (lab: NatLab, from: Site, to: Site): Promise<boolean> => goes(lab, from, to, 'relayed')

async function foundDirect (t: Test, lab: NatLab, from: Site, to: Site): Promise<boolean> {
  const began = performance.now()
  const found = await eventually(() => isDirect(lab, from, to))
  t.comment(`${found ? 'direct' : 'not direct'} after ${Math.round(performance.now() - began)} ms`)
  return found
}
