/** `peer natpass vnc.worker`: the process that captures the screen for a peer, which starts it (natpass protocol, section 4.3). */
import { z } from 'zod'
import { wholeNumber } from '../../nodes/common/options/checks.ts'
import type { Options } from '../../nodes/common/options/option.ts'
import { taskSettings } from '../config/task-settings.ts'
import type { ProtocolTask } from '../protocol.ts'
import { UsageError } from '../usage-error.ts'

/** What the peer knows it by. In the environment, as every user of the machine can read arguments. */
const TOKEN = 'TUNPIPE_WORKER_TOKEN'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

const options = {
  name: { check: z.string(), isRequired: true, value: 'rule', help: 'the rule that it serves, for those who look at processes' },
  port: { check: wholeNumber(1, 65535), isRequired: true, value: 'number', help: 'where the peer listens, at 127.0.0.1' }
} as const satisfies Options

export const workerTask: ProtocolTask = {
  name: 'vnc.worker',
  isHidden: true,
  description: 'Captures the screen for a peer, which starts it.',
  examples: `
The peer gives it a token in ${TOKEN}, and DISPLAY and XAUTHORITY as it has them. It ends with the connection to the peer.`,
  options,
  async run ({ flags }) {
    const { port } = taskSettings(flags, options)
    const token = process.env[TOKEN]
    delete process.env[TOKEN]
    if (token === undefined) throw new UsageError(`${TOKEN} is not set: a peer starts this command`)
    const { runWorker } = await import('../../nodes/natpass/peer/desktop/worker/worker.ts')
    const stopped = new AbortController()
    for (const signal of SIGNALS) process.once(signal, () => { stopped.abort() }) // keys that are held have to be released
    await runWorker({ port, token, signal: stopped.signal })
  }
}
