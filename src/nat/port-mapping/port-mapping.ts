/** Asks the gateway of a network to pass a port on to this machine: UPnP-IGD, NAT-PMP. */
import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { MappingProtocol, MappingRequest, MappingResult, MappingTask } from './messages.ts'
import { defaultGateway } from './search.ts'
import { OptionError } from '../../errors.ts'
import { verifyMilliseconds, verifyPort } from '../../options.ts'
import { systemClock } from '../../streams/clock.ts'
import { printable } from '../../text/printable.ts'
import type { Clock, Endpoint, Timer } from '../../types.ts'

/** Seconds for which a mapping is asked: the least that UPnP takes for granted. */
const LEASE = 3600
/** Milliseconds until it is asked for again, as gateways grant less, and forget all when they start again; and until the next attempt. */
const RENEW_TIME = 600_000
const RETRY_TIME = 60_000

/** Milliseconds for the removal at the end. */
const CLOSE_TIME = 2000

/** MiB of the thread, which reads what others send. */
const THREAD_MEMORY = 64

const PROTOCOLS: readonly MappingProtocol[] = ['nat-pmp', 'upnp']

/** The state of a {@link PortMapping}. */
export interface PortMappingStatus {
  /** `none`: there is no gateway that can, or its address is not public (double NAT). `failed`: the attempt has failed, or took too long. */
  readonly state: 'off' | 'looking' | 'mapped' | 'none' | 'failed'
  /** The endpoint of this port outside; when it is `mapped`. */
  readonly external?: Endpoint
  readonly by?: MappingProtocol
  /** For people. */
  readonly reason?: string
}

/** Options of {@link PortMapping}. */
export interface PortMappingInit {
  /** IPv4 address of this machine in the network of the gateway. */
  address: string
  /** The UDP port. */
  port: number
  /** The address that is asked by NAT-PMP. Default: the next hop of the default route, on Linux; elsewhere only UPnP is tried. */
  gateway?: string
  /** What is tried. Default: NAT-PMP, then UPnP. */
  protocols?: readonly MappingProtocol[]
  /** Milliseconds for one attempt. Default: 15,000. */
  timeout?: number
  /** Called when the status has changed. */
  onChange?: (status: PortMappingStatus) => void
  /** Ends it, as `close`. */
  signal?: AbortSignal
  clock?: Clock
}

/**
 * A mapping of one UDP port, asked for until `close`, and renewed. It needs the optional package `@achingbrain/nat-port-mapper`, which runs in
 * a thread. Nothing is thrown later: `status` tells what has happened.
 */
export class PortMapping {
  readonly #init: PortMappingInit
  readonly #clock: Clock
  readonly #timeout: number
  #status: PortMappingStatus = { state: 'off' }
  #thread: Worker | undefined
  #timer: Timer | undefined
  #closing: Promise<void> | undefined
  #whenUnmapped: (() => void) | undefined

  /** @throws {OptionError} */
  constructor (init: PortMappingInit) {
    const { address, port, gateway, protocols = PROTOCOLS, timeout = 15_000, clock = systemClock } = init
    verifyPort('port', port, 1)
    verifyMilliseconds('timeout', timeout)
    for (const [name, value] of Object.entries({ address, gateway })) {
      if (value !== undefined && !isIPv4(value)) throw new OptionError(`${name} is an IPv4 address, not ${printable(String(value))}`)
    }
    if (protocols.length === 0 || !protocols.every((name) => PROTOCOLS.includes(name))) throw new OptionError(`protocols are ${PROTOCOLS.join(' and ')}, at least one of them`)
    this.#init = init
    this.#clock = clock
    this.#timeout = timeout
  }

  get status (): PortMappingStatus { return this.#status }

  /** Begins to look for a gateway. Does nothing when it has begun, or is closed. */
  start (): void {
    if (this.#status.state !== 'off' || this.#closing !== undefined || this.#init.signal?.aborted === true) return
    this.#init.signal?.addEventListener('abort', this.#abort, { once: true })
    this.#set({ state: 'looking' })
    void this.#attempt()
  }

  /** Removes the mapping, and ends the thread, after 2 seconds in any case. May be called more than once. */
  close (): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  readonly #abort = (): void => { void this.close() }

  async #close (): Promise<void> {
    this.#init.signal?.removeEventListener('abort', this.#abort)
    this.#clock.clear(this.#timer)
    const thread = this.#thread
    if (thread !== undefined && this.#status.state === 'mapped') {
      await new Promise<void>((resolve) => {
        this.#whenUnmapped = resolve
        this.#timer = this.#clock.set(CLOSE_TIME, resolve)
        thread.postMessage('unmap' satisfies MappingRequest)
      })
      this.#clock.clear(this.#timer)
    }
    this.#set({ state: 'off' })
    await this.#end()
  }

  /** Asks, or asks again; all that can happen ends in `#done`. */
  async #attempt (): Promise<void> {
    try {
      const task = this.#thread === undefined ? await this.#task() : undefined
      if (this.#closing !== undefined) return
      const thread = this.#thread ??= this.#spawn(task as MappingTask)
      this.#timer = this.#clock.set(this.#timeout, () => { this.#done({ kind: 'failed', reason: `no result within ${this.#timeout} ms` }) }).unref()
      thread.postMessage('map' satisfies MappingRequest)
    } catch (err) {
      this.#done({ kind: 'failed', reason: String(err) })
    }
  }

  async #task (): Promise<MappingTask> {
    const { address, port, protocols = PROTOCOLS, gateway = defaultGateway(await readFile('/proc/net/route', 'latin1').catch(() => '')) } = this.#init
    return { address, port, gateway, protocols, lease: LEASE }
  }

  #spawn (task: MappingTask): Worker {
    // the file next to this one, in source or compiled form
    const file = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)
    const thread = new Worker(file, { name: 'port mapping', workerData: task, resourceLimits: { maxOldGenerationSizeMb: THREAD_MEMORY } })
    thread.unref()
    thread.on('message', (result: MappingResult) => { if (this.#thread === thread) this.#done(result) })
    thread.on('error', (err) => { if (this.#thread === thread) this.#done({ kind: 'failed', reason: `the thread has ended: ${err.message}` }) })
    return thread
  }

  #done (result: MappingResult): void {
    if (this.#closing !== undefined) {
      this.#whenUnmapped?.()
      return
    }
    if (result.kind === 'unmapped') return
    this.#clock.clear(this.#timer)
    if (result.kind === 'mapped') {
      this.#set({ state: 'mapped', external: result.external, by: result.by })
    } else {
      this.#set({ state: result.kind, reason: printable(result.reason) })
      void this.#end()
    }
    const isFailed = result.kind === 'failed'
    this.#timer = this.#clock.set(isFailed ? RETRY_TIME : RENEW_TIME, () => { void this.#attempt() }).unref()
  }

  async #end (): Promise<void> {
    const thread = this.#thread
    this.#thread = undefined
    await thread?.terminate().catch(() => {})
  }

  #set (status: PortMappingStatus): void {
    const { state, external, by } = this.#status
    const isSame = state === status.state && by === status.by && external?.host === status.external?.host && external?.port === status.external?.port
    this.#status = status
    if (!isSame) this.#init.onChange?.(status)
  }
}
