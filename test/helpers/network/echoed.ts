/** What streams of an agent have brought back. */
import type { Test } from 'tap'
import type { Echoed } from './stream-agent.ts'

/** What has come back is what was sent, so many bytes at least. */
export function intact (t: Test, { bytes, sent, received, fault }: Echoed, least: number, what: string): void {
  t.equal(fault, undefined, what)
  t.ok(bytes >= least, `${what}: ${bytes} bytes`)
  t.equal(received, sent, what)
}
