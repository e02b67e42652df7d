/** R's attempt to reach T at an endpoint that is known, or that a helper tells (SHOW CHAIN protocol, sections 5.2 and 5.3). */
import { endpointText } from '../../../net/endpoint.ts'
import { isSame } from '../../../nat/stun/transaction.ts'
import type { NatKind } from '../../../nat/index.ts'
import type { Endpoint } from '../../../types.ts'
import { addressText } from '../protocol/addresses.ts'
import { Op } from '../protocol/op.ts'
import type { Incoming, OpenRequest, OpenRequests } from '../protocol/requests.ts'
import { chanceOf, kindName, type Chance } from './chances.ts'

/** What an attempt needs, and whom it tells. */
export interface AttemptInit {
  requests: OpenRequests
  /** Id of T. */
  target: Uint8Array
  ownKind (): NatKind | undefined
  /** Those of this node outside, as helpers see them. */
  ownEndpoints (): readonly Endpoint[]
  /** A path is there. Called once, unless `onFailed` is. */
  onPath (kind: 'direct' | 'nat', endpoint: Endpoint): void
  onFailed (reason: string): void
  /** For people. */
  note (text: string): void
}

export interface DirectAttemptInit extends AttemptInit {
  /** Where T is: the address may be a name. */
  named: Endpoint
  /** Finds the address of a name. @throws when there is none */
  resolve (named: Endpoint): Promise<Endpoint>
}

/** Opens a 0x101 to an endpoint of T. Undefined when there is no room for it; `fail` was called then. */
function askDirectly ({ requests, target, ownKind }: AttemptInit, to: Endpoint, onAnswer: () => void, fail: (reason: string) => void): OpenRequest | undefined {
  const request = requests.open({
    op: Op.directRequest,
    to,
    target,
    fields: () => ({ kind: ownKind() }),
    onAnswer,
    onFailed: () => { fail(`${endpointText(to)} has not answered`) }
  })
  if (request === undefined) fail('too many requests are open')
  return request
}

/** One `0x101` to an endpoint of T. */
export class DirectAttempt {
  readonly #init: DirectAttemptInit
  #request: OpenRequest | undefined
  #isOver = false

  constructor (init: DirectAttemptInit) { this.#init = init }

  start (): void {
    const { named, resolve } = this.#init
    resolve(named).then((to) => { this.#ask(to) }, (err: Error) => { this.#fail(`${endpointText(named)}: ${err.message}`) })
  }

  close (): void {
    this.#isOver = true
    this.#request?.close()
  }

  #ask (to: Endpoint): void {
    if (this.#isOver) return
    this.#request = askDirectly(this.#init, to, () => {
      this.close()
      this.#init.onPath('direct', to)
    }, (reason) => { this.#fail(reason) })
  }

  #fail (reason: string): void {
    if (this.#isOver) return
    this.close()
    this.#init.onFailed(reason)
  }
}

export interface NatAttemptInit extends AttemptInit {
  helper: { readonly endpoint: Endpoint }
  /** T has answered by the helper: the kinds say this. After `none` the attempt has failed. */
  onChance (chance: Chance): void
}

/** One introduction by one helper. */
export class NatAttempt {
  readonly #init: NatAttemptInit
  #introduction: OpenRequest | undefined
  /** To the endpoint that T has now, as far as is known. */
  #request: OpenRequest | undefined
  #endpoint: Endpoint | undefined
  /** Where the last response of T has come from. */
  #heardFrom: Endpoint | undefined
  #kind: NatKind | undefined
  #isTold = false
  #isOver = false

  constructor (init: NatAttemptInit) {
    this.#init = init
  }

  start (): void {
    const { requests, target, helper, ownKind } = this.#init
    this.#introduction = requests.open({
      op: Op.natRequest,
      to: helper.endpoint,
      target,
      fields: () => ({ kind: ownKind() }),
      onAnswer: (answer) => { this.#introduced(answer) },
      onFailed: () => { if (this.#endpoint === undefined) this.#fail(`no answer by the helper ${endpointText(helper.endpoint)}: it does not know the node, or is not there`) }
    })
    if (this.#introduction === undefined) this.#fail('too many requests are open')
  }

  close (): void {
    this.#isOver = true
    this.#introduction?.close()
    this.#request?.close()
  }

  #introduced ({ message: { op, kind, ip, port, cookie }, from }: Incoming): void {
    if (kind !== undefined) this.#kind = kind as NatKind
    if (op === Op.passResponseAck) {
      if (ip !== undefined && port !== undefined) this.#told({ host: addressText(ip), port })
      return
    }
    if (cookie !== undefined) this.#init.requests.keepCookie(from, cookie)
    if (this.#heardFrom !== undefined && isSame(from, this.#heardFrom)) return
    this.#heardFrom = from
    this.#init.note(`a response of the node has come from ${endpointText(from)}`)
    if (this.#endpoint !== undefined && isSame(from, this.#endpoint)) this.#request?.again()
    else this.#ask(from)
  }

  /** The helper tells T's endpoint. */
  #told (endpoint: Endpoint): void {
    if (this.#isTold) return
    this.#isTold = true
    const { ownKind, ownEndpoints, note, helper, onChance } = this.#init
    this.#introduction?.settle()
    note(`the helper ${endpointText(helper.endpoint)} tells ${endpointText(endpoint)}, ${kindName(this.#kind)} there and ${kindName(ownKind())} here`)
    const isSameNat = ownEndpoints().some(({ host }) => host === endpoint.host) // which may let them meet, whatever their kinds
    const chance = isSameNat ? 'doubtful' : chanceOf(ownKind(), this.#kind)
    onChance(chance)
    if (this.#isOver) return
    if (chance === 'none' && this.#endpoint === undefined) this.#fail(`the NATs do not let them meet: ${kindName(ownKind())} here, ${kindName(this.#kind)} there`)
    else if (this.#endpoint === undefined) this.#ask(endpoint) // else a response has shown it
  }

  #ask (endpoint: Endpoint): void {
    this.#request?.close()
    this.#endpoint = endpoint
    this.#request = askDirectly(this.#init, endpoint, () => {
      this.close()
      this.#init.onPath(this.#kind === 1 ? 'direct' : 'nat', endpoint)
    }, (reason) => { this.#fail(reason) })
  }

  #fail (reason: string): void {
    if (this.#isOver) return
    this.close()
    this.#init.onFailed(reason)
  }
}
