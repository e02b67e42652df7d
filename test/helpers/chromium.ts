/** A real browser for the tests that want one. */
import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'

const path = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium'

/**
 * Why the tests that need Chromium are skipped, or `false` to run them. On a build machine a missing browser is a
 * failure, so there they always run.
 */
export const skipWithoutChromium: string | false =
  existsSync(path) || process.env.CI === 'true' ? false : `no Chromium at ${path}; set CHROMIUM_BIN to run this`

export const launchChromium = (): Promise<Browser> => chromium.launch({
  executablePath: path,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'
  ]
})
