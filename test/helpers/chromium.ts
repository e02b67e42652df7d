/** A real browser for the tests that want one. */
import { existsSync } from 'node:fs'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core'
import type { Test } from 'tap'

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

/** A page of its own; errors in it, and what its policy forbids, fail the test. */
export async function visit (t: Test, browser: Browser, options: BrowserContextOptions = {}): Promise<{ context: BrowserContext, page: Page }> {
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', ({ message }) => { problems.push(message) })
  page.on('console', (message) => { if (/Content Security Policy/.test(message.text())) problems.push(message.text()) })
  t.teardown(() => {
    if (problems.length > 0) throw new Error(problems.join('\n'))
  })
  return { context, page }
}

/** Waits until an expression holds in the page. Not by `waitForFunction`, which evaluates text in the page: its policy forbids that. */
export async function holds (page: Page, expression: string): Promise<void> {
  for (;;) {
    try {
      await page.evaluate(`new Promise((resolve) => {
        const check = () => { Promise.resolve(${expression}).then((is) => { if (is) resolve(); else requestAnimationFrame(check) }, () => { requestAnimationFrame(check) }) }
        check()
      })`)
      return
    } catch (err) {
      if (!/context was destroyed|navigat/i.test((err as Error).message)) throw err
    }
  }
}

/** Waits until the state line has a text. */
export const says = async (page: Page, text: string): Promise<void> => { await holds(page, `document.getElementById('state')?.textContent === ${JSON.stringify(text)}`) }
