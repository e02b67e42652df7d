/** What the tests send through a network: pings, and whatever an agent in a namespace can do. */
import type { ChildProcess } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Commands as AgentCommands } from './agent.ts'
import type { Namespace } from './namespaces.ts'
import { STRIP_TYPES } from '../programs/executables.ts'

const AGENT = fileURLToPath(new URL('agent.ts', import.meta.url))

/** Milliseconds between two looks at something that raises no event, and after which it is given up. */
const POLL_INTERVAL = 50
const POLL_PATIENCE = 15_000

type Commands = Record<string, (...args: any[]) => Promise<unknown>>

/** A process in a namespace that does what it is told, by default that of `agent.ts`; one of those for each namespace is enough. */
export class Agent<C extends Commands = AgentCommands> {
  readonly process: ChildProcess
  readonly #calls = new Map<number, { resolve (result: any): void, reject (err: Error): void }>()
  #lastId = 0

  constructor (namespace: Namespace, script = AGENT) {
    this.process = namespace.spawn(process.execPath, [...STRIP_TYPES, script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.process.on('message', ({ id, result, error }: any) => {
      const call = this.#calls.get(id)
      this.#calls.delete(id)
      if (error === undefined) call?.resolve(result)
      else call?.reject(new Error(error))
    })
    this.process.once('exit', () => {
      for (const { reject } of this.#calls.values()) reject(new Error('the agent has ended'))
    })
  }

  call<Name extends keyof C> (name: Name, ...args: Parameters<C[Name]>): ReturnType<C[Name]> {
    const id = ++this.#lastId
    const answer = new Promise((resolve, reject) => { this.#calls.set(id, { resolve, reject }) })
    this.process.send({ id, name, args })
    return answer as ReturnType<C[Name]>
  }
}

/** Whether a ping is answered within so many seconds. */
export const answers = (from: Namespace, to: string, patience: number): Promise<boolean> =>
  from.run('ping', '-n', '-c', '1', '-W', String(patience), to).then(() => true, () => false)

/** How many of three pings are answered. One by one, as a `ping` that has had an answer hardly waits for the next. */
export async function ping (from: Namespace, to: string): Promise<number> {
  let answered = 0
  for (let count = 0; count < 3; count++) {
    if (await answers(from, to, 5)) answered++
  }
  return answered
}

/** Whether a ping is answered, sooner or later. */
export const reaches = (from: Namespace, to: string): Promise<boolean> => eventually(() => answers(from, to, 1))

/** Looks again and again until it is so; false when it never is, that is after so many milliseconds. */
export async function eventually (look: () => Promise<boolean> | boolean, patience = POLL_PATIENCE): Promise<boolean> {
  for (const deadline = performance.now() + patience; performance.now() < deadline;) {
    if (await look()) return true
    await delay(POLL_INTERVAL)
  }
  return false
}

/** TCP from one to the other in both directions at once, so many bytes each: what arrives is what was sent. */
export async function exchangeEqual (t: Test, a: { agent: Agent }, b: { agent: Agent, address: string }, bytes: number): Promise<void> {
  const port = await b.agent.call('serveExchange', bytes)
  const atA = await a.agent.call('exchange', b.address, port, bytes)
  const atB = await b.agent.call('exchanged', port)
  t.equal(atB?.received, atA.sent)
  t.equal(atA.received, atB?.sent)
  t.not(atA.received, atA.sent)
}
