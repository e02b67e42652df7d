/** A namespace behind a slow way, with a fast one beside it for whoever watches. Linux, as root, in a network namespace of its own. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { Lab } from '../network/namespaces.ts'

const run = promisify(execFile)

export interface SlowWay {
  namespace: string
  /** This side, reached by the slow way. */
  near: string
  /** The other side, reached by the slow way, and by the fast one. */
  far: string
  fast: string
}

/** @param bits a second, in each direction */
export async function slowWay (t: Test, bits: number): Promise<SlowWay> {
  const far = await new Lab(t).namespace('far')
  for (const [i, name] of ['slow', 'fast'].entries()) {
    await run('ip', ['link', 'add', `${name}0`, 'type', 'veth', 'peer', 'name', `${name}1`, 'netns', far.name])
    await run('ip', ['addr', 'add', `10.99.${i}.1/24`, 'dev', `${name}0`])
    await run('ip', ['link', 'set', `${name}0`, 'up'])
    await far.ip('addr', 'add', `10.99.${i}.2/24`, 'dev', `${name}1`)
    await far.ip('link', 'set', `${name}1`, 'up')
  }
  const filter = ['root', 'tbf', 'rate', `${bits}bit`, 'burst', '5000', 'latency', '100ms']
  await run('ethtool', ['-K', 'slow0', 'tso', 'off', 'gso', 'off', 'gro', 'off'])
  await run('tc', ['qdisc', 'add', 'dev', 'slow0', ...filter])
  await far.cutSegments('slow1')
  await far.run('tc', 'qdisc', 'add', 'dev', 'slow1', ...filter)
  return { namespace: far.name, near: '10.99.0.1', far: '10.99.0.2', fast: '10.99.1.2' }
}
