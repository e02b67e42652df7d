/**
 * What the real programs do with direct traffic, seen by a member that says what a test tells it: `CANDY_BIN` names candy, `CACAO_BIN`
 * cacao, a server that is tried as well if it is there. No part of the suite; run
 * `CANDY_BIN=/usr/bin/candy CACAO_BIN=/usr/bin/cacao npx tap --timeout=600 test/e2e/candy-originals.ts`, as root.
 */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { hex, toHex } from '../helpers/bytes.ts'
import { delay, echoRequest, heartbeat, Kind, keyOf, open, readRoute, seal } from '../helpers/candy/direct.ts'
import type { Endpoint, Heard, MemberCommands } from '../helpers/candy/member-agent.ts'
import { CACAO_BIN, CANDY_BIN, startCacao, startCandy, startCandyServer } from '../helpers/candy/original.ts'
import { address, vector } from '../helpers/candy/vectors.ts'
import { Lab, type Namespace } from '../helpers/network/namespaces.ts'
import { PASSWORD, RANGE, startRelay } from '../helpers/network/programs.ts'
import { canRun } from '../helpers/network/requirements.ts'
import { Agent, answers } from '../helpers/network/traffic.ts'
import type { UdpCommands } from '../helpers/network/udp-agent.ts'
import type { Program } from '../helpers/programs/program.ts'
import { decodeConn, decodeGeneral, encodeConn, localEndpoint, MessageType } from '../../src/nodes/candy/protocol/messages.ts'
import { formatAddress } from '../../src/net/ipv4.ts'

const MEMBER = fileURLToPath(new URL('../helpers/candy/member-agent.ts', import.meta.url))
const UDP = fileURLToPath(new URL('../helpers/network/udp-agent.ts', import.meta.url))

const SERVER = '192.0.2.1'
const PORT = 8080
const URL_OF_SERVER = `ws://${SERVER}:${PORT}`
const STUN: Endpoint = { host: SERVER, port: 3478 }

/** Of the real client, and its address and cost in the virtual network. */
const CLIENT = { host: '192.0.2.13', address: '10.77.0.3', cost: 5 }

/** Milliseconds after which something has not come; a real client does nothing of its own accord more often than once a second. */
const PATIENCE = 8000

/** Milliseconds within which nothing comes where nothing should. */
const SILENCE = 1500

/** Starts a server in a namespace; gives the URL of its network. */
type StartServer = (t: Test, host: Namespace) => Promise<string>

const relay: StartServer = async (_t, host) => {
  await startRelay(host, URL_OF_SERVER)
  return `${URL_OF_SERVER}/`
}

const candy: StartServer = async (t, host) => {
  await startCandyServer(t, host, { url: URL_OF_SERVER, password: PASSWORD, dhcp: RANGE })
  return `${URL_OF_SERVER}/`
}

const cacao: StartServer = (t, host) => startCacao(t, host, { address: SERVER, port: PORT, password: PASSWORD, dhcp: RANGE })

const SERVERS: Array<[name: string, start: StartServer]> = [['our relay', relay], ['a candy server', candy], ...CACAO_BIN === undefined ? [] : [['cacao', cacao] as [string, StartServer]]]

interface Member {
  address: string
  host: string
  agent: Agent<MemberCommands>
}

interface Scene {
  lab: Lab
  url: string
  member (last: number): Promise<Member>
  client (): Promise<{ host: Namespace, program: Program }>
}

async function scene (t: Test, start: StartServer): Promise<Scene> {
  const lab = new Lab(t)
  const server = await lab.host('server', `${SERVER}/24`)
  await new Agent<UdpCommands>(server, UDP).call('serveStun', STUN.host, STUN.port)
  const url = await start(t, server)
  return {
    lab,
    url,
    async member (last) {
      const [host, address] = [`192.0.2.${10 + last}`, `10.77.0.${last}`]
      const agent = new Agent<MemberCommands>(await lab.host(`member${last}`, `${host}/24`), MEMBER)
      await agent.call('join', { url, password: PASSWORD, address, vmac: `000000000000000${last}` })
      return { address, host, agent }
    },
    async client () {
      const host = await lab.host('client', `${CLIENT.host}/24`)
      const program = startCandy(t, host, { mode: 'client', websocket: url, password: PASSWORD, tun: `${CLIENT.address}/24`, stun: `stun://${STUN.host}:${STUN.port}`, route: CLIENT.cost })
      await program.find(/listen port: \d+/)
      return { host, program }
    }
  }
}

const conn = (from: string, to: string, { host, port }: Endpoint, tail = 0): Buffer =>
  Buffer.concat([encodeConn({ source: address(from), destination: address(to), address: address(host), port }), randomBytes(tail)])

/** Waits for the CONN of the real client; gives its public endpoint. */
async function connOfClient (t: Test, { agent, address: own }: Member): Promise<Endpoint> {
  const { source, destination, address: host, port } = decodeConn(hex(await agent.call('hear', MessageType.CONN, PATIENCE) ?? ''))
  t.same([source, destination].map(formatAddress), [CLIENT.address, own])
  return { host: formatAddress(host), port }
}

/** Sends a heartbeat each second, and waits until the client takes the member for connected. */
async function connect (member: Member, client: Program, to: Endpoint, noise?: Uint8Array): Promise<void> {
  await member.agent.call('repeat', CLIENT.address, toHex(heartbeat(member.address, 1, noise)), to)
  await client.find(new RegExp(`state: ${member.address} CONNECTING => CONNECTED`))
}

async function directRun (t: Test, start: StartServer, noise?: Uint8Array): Promise<void> {
  const { member: join, client } = await scene(t, start)
  const member = await join(2)
  const { agent } = member
  const port = await agent.call('bind', member.host)
  const { program, host } = await client()

  let began = performance.now()
  const since = (): string => `${Math.round(performance.now() - began)} ms`
  const trigger = echoRequest(member.address, CLIENT.address)
  await agent.call('say', toHex(trigger))
  t.ok(await agent.call('hear', MessageType.FORWARD, PATIENCE), 'a ping through the server is answered')
  const there = await connOfClient(t, member)
  t.comment(`CONN of the client ${since()} after the packet through the server`)
  t.equal(there.host, CLIENT.host)
  const mapped = await agent.call('endpoint', STUN)
  t.same(mapped, { host: member.host, port })
  await agent.call('say', toHex(conn(member.address, CLIENT.address, mapped)))

  const beat = await agent.call('told', Kind.HEARTBEAT, PATIENCE)
  t.match(beat, { ...there, plaintext: new RegExp(`^00${toHex(hex('0a4d0003'))}.{12}00$`) }, 'a heartbeat that acknowledges nothing')
  t.comment(`its address and port: ${beat?.plaintext.slice(10, 22)}`)
  await connect(member, program, there, noise)
  t.comment(`CONNECTED ${since()} after the packet through the server`)
  const asked = await agent.call('told', Kind.DELAY, PATIENCE) as Heard
  t.ok(asked.plaintext.startsWith('020a4d00030a4d0002'), 'it asks for the delay at once') // and takes no answer after a second
  await agent.call('tell', CLIENT.address, asked.plaintext, there)
  const [, measured] = await program.find(/route: dst=10\.77\.0\.2 next=10\.77\.0\.2 delay=(\d+)/)
  t.same(readRoute(hex((await agent.call('told', Kind.ROUTE, PATIENCE))?.plaintext ?? '')), { destination: member.address, next: CLIENT.address, rtt: Number(measured) + CLIENT.cost }, 'it advertises the time and its cost')
  while (!(await agent.call('told', Kind.HEARTBEAT, PATIENCE) as Heard).plaintext.endsWith('01')); // that come, or this fails
  const question = toHex(delay(member.address, CLIENT.address, 123_456_789))
  await agent.call('tell', CLIENT.address, question, there)
  t.equal((await agent.call('told', Kind.DELAY, PATIENCE))?.plaintext, question, 'a question for the delay comes back byte by byte')

  await agent.call('heardSoFar')
  await agent.call('tell', CLIENT.address, toHex(trigger), there)
  t.same((await agent.call('told', Kind.FORWARD, PATIENCE))?.plaintext.slice(0, 2), '01', 'a ping by UDP is answered by UDP')
  await agent.call('answerPings')
  t.ok(await answers(host, member.address, 2), 'so is one of the client')
  t.same(await agent.call('heardSoFar'), [], 'nothing of that goes through the server')

  await agent.call('repeat')
  began = performance.now()
  await program.find(/state: 10\.77\.0\.2 CONNECTED => INIT/)
  t.comment(`INIT ${since()} after the last heartbeat`)
  const pinging = answers(host, member.address, 1)
  t.ok(await agent.call('hear', MessageType.FORWARD, PATIENCE), 'its packets go through the server again')
  await pinging
}

if (CANDY_BIN === undefined) {
  t.plan(0, 'only when asked for: set CANDY_BIN')
} else if (await canRun(t, ['ss'])) {
  t.test('the helper seals as the vectors do', async (t) => {
    const { bytes, inputs } = vector('udp_heartbeat_sealed')
    const key = keyOf(inputs.password, inputs.receiver_ip)
    t.equal(toHex(seal(key, hex(inputs.plaintext_hex), hex(inputs.iv_hex))), toHex(bytes))
    t.equal(toHex(open(key, bytes) ?? new Uint8Array(0)), inputs.plaintext_hex)
  })

  for (const [name, start] of SERVERS) {
    await t.test(`a CONN with a tail through ${name}`, { timeout: 60_000 }, async (t) => {
      const { member, client } = await scene(t, start)
      const [one, two] = [await member(1), await member(2)]
      for (const tail of [0, 1, 90, 200, 1485]) {
        const message = toHex(conn(one.address, two.address, { host: one.host, port: 1 }, tail))
        await one.agent.call('say', message)
        t.equal(await two.agent.call('hear', MessageType.CONN, PATIENCE), message, `${tail} bytes behind it, byte by byte`)
      }

      const { program } = await client()
      const port = await one.agent.call('bind', one.host)
      await one.agent.call('say', toHex(conn(one.address, CLIENT.address, { host: one.host, port }, 90)))
      await program.find(/state: 10\.77\.0\.1 INIT => PREPARING/)
      const local = decodeGeneral(hex(await one.agent.call('hear', MessageType.GENERAL, PATIENCE) ?? ''))
      const there = await connOfClient(t, one)
      t.match(localEndpoint(local), { address: address(CLIENT.host), port: there.port }, 'it answers with its local endpoint and its CONN')
      await program.find(/state: 10\.77\.0\.1 PREPARING => CONNECTING/)
      t.ok(await one.agent.call('told', Kind.HEARTBEAT, PATIENCE), 'it has read the endpoint before the tail')
      await two.agent.call('say', toHex(conn(two.address, CLIENT.address, { host: two.host, port }, 200)))
      await program.find(/state: 10\.77\.0\.2 INIT => PREPARING/)
    })

    await t.test(`a direct path to a real client, found through ${name}`, { timeout: 90_000 }, (t) => directRun(t, start))
  }

  await t.test('the six bytes of a heartbeat that nobody reads', { timeout: 90_000 }, (t) => directRun(t, relay, hex('74 75 6e 70 01 00')))

  await t.test('nothing comes by UDP to a member that has only been asked', { timeout: 60_000 }, async (t) => {
    const { member: join, client } = await scene(t, relay)
    const member = await join(2)
    await member.agent.call('bind', member.host)
    await client()
    await member.agent.call('say', toHex(echoRequest(member.address, CLIENT.address)))
    await connOfClient(t, member)
    t.equal(await member.agent.call('told', Kind.HEARTBEAT, SILENCE), undefined)
  })
}
