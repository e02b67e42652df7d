/** Three network namespaces in a row: two ends, and a host between them that also routes. Gone when the bench is over. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Where the ends and the one between them are. */
export const ADDRESS = { a: '192.0.2.2', b: '198.51.100.2', toA: '192.0.2.1', toB: '198.51.100.1' } as const

export class Host {
  readonly name: string
  readonly #children: Set<ChildProcess>

  constructor (name: string, children: Set<ChildProcess>) {
    this.name = name
    this.#children = children
  }

  start (command: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.name, command, ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#children.add(child)
    child.once('exit', () => { this.#children.delete(child) })
    return child
  }

  /** Runs a program to its end, and gives what it has written; throws when that is a failure. */
  async run (command: string, ...args: string[]): Promise<string> {
    const child = this.start(command, args)
    let out = ''
    let err = ''
    child.stdout?.on('data', (text) => { out += String(text) })
    child.stderr?.on('data', (text) => { err += String(text) })
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${err === '' ? out : err}`)
    return out
  }

  ip (...args: string[]): void { execFileSync('ip', ['-n', this.name, ...args], { stdio: ['ignore', 'ignore', 'pipe'] }) }
}

export class Lab {
  readonly a: Host
  readonly between: Host
  readonly b: Host
  readonly #children = new Set<ChildProcess>()

  constructor () {
    const host = (name: string): Host => new Host(`bench${process.pid}${name}`, this.#children)
    this.a = host('a')
    this.between = host('r')
    this.b = host('b')
    for (const { name } of this.#hosts) execFileSync('ip', ['netns', 'add', name])
    this.#wire(this.a, ADDRESS.a, ADDRESS.toA, 'left')
    this.#wire(this.b, ADDRESS.b, ADDRESS.toB, 'right')
    execFileSync('ip', ['netns', 'exec', this.between.name, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'])
  }

  get #hosts (): Host[] { return [this.a, this.between, this.b] }

  #wire (end: Host, address: string, gateway: string, device: string): void {
    end.ip('link', 'set', 'lo', 'up')
    execFileSync('ip', ['link', 'add', 'up0', 'netns', end.name, 'type', 'veth', 'peer', 'name', device, 'netns', this.between.name])
    end.ip('addr', 'add', `${address}/24`, 'dev', 'up0')
    end.ip('link', 'set', 'up0', 'up')
    this.between.ip('addr', 'add', `${gateway}/24`, 'dev', device)
    this.between.ip('link', 'set', device, 'up')
    end.ip('route', 'add', 'default', 'via', gateway)
  }

  async close (): Promise<void> {
    const ends = [...this.#children].map((child) => once(child, 'exit'))
    for (const child of this.#children) child.kill()
    await Promise.all(ends)
    for (const { name } of this.#hosts) execFileSync('ip', ['netns', 'del', name])
  }
}

/** Waits until a program has written something like that, and gives it. */
export function said (child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const hear = (part: unknown): void => {
      text += String(part)
      const found = pattern.exec(text)
      if (found !== null) resolve(found[0])
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.once('exit', () => { reject(new Error(`ended without ${String(pattern)}: ${text}`)) })
  })
}
