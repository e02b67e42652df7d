/** Three network namespaces in a row: two ends, and a host between them that also routes. Gone when the bench is over, or interrupted. */
import { execFile, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Namespace } from '../../test/helpers/network/namespaces.ts'

const run = promisify(execFile)

/** Where the ends and the one between them are. */
export const ADDRESS = { a: '192.0.2.2', b: '198.51.100.2', toA: '192.0.2.1', toB: '198.51.100.1' } as const

export class Lab {
  readonly a: Namespace
  readonly between: Namespace
  readonly b: Namespace
  /** For files that programs in here need. */
  readonly folder = mkdtempSync(join(tmpdir(), 'tunpipe-bench-'))
  /** Files elsewhere that programs in here make, and leave when they are killed. */
  readonly leftovers: string[] = []
  readonly #children = new Set<ChildProcess>()
  #networks = 0

  private constructor () {
    const host = (name: string): Namespace => new Namespace(`bench${process.pid}${name}`, this.#children)
    this.a = host('a')
    this.between = host('r')
    this.b = host('b')
    process.once('exit', this.#closeNow)
  }

  static async open (): Promise<Lab> {
    const lab = new Lab()
    try {
      for (const { name } of lab.#hosts) await run('ip', ['netns', 'add', name])
      await lab.#wire(lab.a, ADDRESS.a, ADDRESS.toA, 'left')
      await lab.#wire(lab.b, ADDRESS.b, ADDRESS.toB, 'right')
      await lab.between.ip('link', 'set', 'lo', 'up')
      await lab.between.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
      return lab
    } catch (err) {
      await lab.close()
      throw err
    }
  }

  get #hosts (): Namespace[] { return [this.a, this.between, this.b] }

  /** A number that nobody else in here has, for a network `10.N.0.0/24`, ports and names. */
  nextNetwork (): number { return 77 + this.#networks++ }

  async #wire (end: Namespace, address: string, gateway: string, device: string): Promise<void> {
    await end.ip('link', 'set', 'lo', 'up')
    await run('ip', ['link', 'add', 'up0', 'netns', end.name, 'type', 'veth', 'peer', 'name', device, 'netns', this.between.name])
    await end.ip('addr', 'add', `${address}/24`, 'dev', 'up0')
    await end.ip('link', 'set', 'up0', 'up')
    await this.between.ip('addr', 'add', `${gateway}/24`, 'dev', device)
    await this.between.ip('link', 'set', device, 'up')
    await end.ip('route', 'add', 'default', 'via', gateway)
  }

  /** From now on no more than that leaves `a`, as `tc` spells rates. False when the kernel cannot do that. */
  async slow (rate: string): Promise<boolean> {
    return await run('tc', ['-n', this.a.name, 'qdisc', 'add', 'dev', 'up0', 'root', 'tbf', 'rate', rate, 'burst', '16k', 'latency', '20ms']).then(() => true, () => false)
  }

  async close (): Promise<void> {
    const ends = [...this.#children].map((child) => once(child, 'exit'))
    for (const child of this.#children) child.kill()
    await Promise.all(ends)
    process.removeListener('exit', this.#closeNow)
    this.#closeNow()
  }

  /** For an end of the process that waits for nobody. */
  readonly #closeNow = (): void => {
    for (const child of this.#children) child.kill('SIGKILL')
    for (const { name } of this.#hosts) spawnSync('ip', ['netns', 'del', name]) // there may be none, when opening has failed
    for (const path of [this.folder, ...this.leftovers]) rmSync(path, { recursive: true, force: true })
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
    child.once('exit', () => { reject(new Error(`ended without ${String(pattern)}: ${text.trim()}`)) })
  })
}
