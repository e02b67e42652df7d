// tsc does not keep the executable bit of the two programs.
import { chmodSync } from 'node:fs'

for (const name of ['relay', 'peer']) chmodSync(new URL(`../dist/bin/${name}.js`, import.meta.url), 0o755)
