/** What other clients may open here. */
import type { Allowance } from './allowance.ts'
import { addressCheck, readPortPattern, type AddressCheck, type PortPattern } from './port-patterns.ts'
import type { LinkType } from '../protocol/message-types.ts'
import { printable } from '../../../text/printable.ts'

/** Variables that a client may set for a program of a list: others could make it run something else. */
const HARMLESS = /^(?:TERM|COLORTERM|LANG|LC_[A-Z]+)=[\w.@-]*$/

/** A program, and its variables. */
export interface Command {
  readonly exec: string | undefined
  readonly env: readonly string[]
}

/** Nobody may do anything that is not said; what several allowances say adds up. */
export class Allowances {
  readonly #allow: ReadonlyArray<Allowance & { readonly patterns: readonly PortPattern[] | undefined }>

  constructor (allow: readonly Allowance[] = []) {
    this.#allow = allow.map((one) => ({ ...one, patterns: one.ports?.flatMap((text) => readPortPattern(text) ?? []) }))
  }

  /** Whether a client may open a link of this type. */
  allows (client: string, type: LinkType): boolean { return this.#of(client, type).length > 0 }

  /** What an address of the host has to fulfil for a link of this type; undefined when none could. */
  addressCheck (client: string, type: 'tcp' | 'udp', host: string, port: number): AddressCheck | undefined {
    const checks = this.#of(client, type).flatMap(({ patterns }) => addressCheck(patterns, host, port) ?? [])
    return checks.length === 0 ? undefined : (address) => checks.some((check) => check(address))
  }

  /**
   * What a shell starts. Where programs are listed, the first one is what an empty request starts, and variables that could change what a
   * program does are left out.
   *
   * @throws an error for the client when the program is not listed
   */
  command (client: string, { exec, env }: Command): Command {
    const of = this.#of(client, 'shell')
    if (of.some(({ exec }) => exec === undefined)) return { exec: exec || undefined, env }
    const programs = of.flatMap(({ exec = [] }) => exec)
    if (exec && !programs.includes(exec)) throw new Error(`the program ${printable(exec)} is not allowed here`)
    return { exec: exec || programs[0], env: env.filter((entry) => HARMLESS.test(entry)) }
  }

  #of (client: string, type: LinkType) { return this.#allow.filter(({ from, types }) => (from === undefined || from === client) && types.includes(type)) }
}
