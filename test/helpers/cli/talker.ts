/** Says 16 MiB on one stream at once, then on the other one what has become of it. */
import { stderrLines, stdoutLines } from '../../../src/cli/process/bounded-lines.ts'
import { createLogger } from '../../../src/cli/process/logger.ts'
import { createOutput } from '../../../src/cli/process/output.ts'

const isOut = process.argv[2] === 'stdout'
const out = createOutput(true)
const log = createLogger({ level: 'info', json: true })
const text = 'x'.repeat(1000)
for (let i = 0; i < 16_384; i++) {
  if (isOut) out.event('talk', { text })
  else log.info({}, text)
}
const [waiting, { dropped }] = isOut ? [process.stdout.writableLength, stdoutLines] : [process.stderr.writableLength, stderrLines]
;(isOut ? process.stderr : process.stdout).write(`${waiting} bytes wait, ${dropped} dropped\n`)
setInterval(() => {}, 2 ** 30)
