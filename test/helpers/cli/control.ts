/** What the commands `status` and `reload` ask a running program, without a process for each question. */
import { join } from 'node:path'
import { ControlError, sendRequest } from '../../../src/cli/control/client.ts'
import { turn } from '../ends.ts'

/**
 * Asks the program whose control socket `<name>.sock` is in its folder of an environment. The socket is there a moment after the program
 * is ready, so this waits for it.
 */
export async function askControl (env: Record<string, string>, name: string, command: 'status' | 'reload'): Promise<any> {
  const program = name.startsWith('relay') ? 'relay' : 'peer'
  for (;;) {
    try {
      return await sendRequest({ path: join(env.RUNTIME_DIRECTORY, `${name}.sock`), program }, { command })
    } catch (err) {
      if (!(err instanceof ControlError) || !err.isAbsent) throw err
      await turn()
    }
  }
}
