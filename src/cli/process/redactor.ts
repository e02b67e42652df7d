/** Characters. Shorter secrets are not redacted, as they occur in other words. */
const MIN_SECRET = 6

/** Removes secrets from lines: a safety net, as no code logs secrets on purpose. */
export class Redactor {
  #secrets: string[] = []

  constructor (secrets: readonly string[] = []) { this.add(secrets) }

  /** Adds secrets. Those of digits alone are skipped, as redacting numbers would break JSON lines. */
  add (secrets: readonly string[]): void {
    const forms = secrets
      .filter((secret) => secret.length >= MIN_SECRET && !/^[\d.,:{}[\]+-]*$/.test(secret))
      .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
    this.#secrets = [...new Set([...this.#secrets, ...forms])]
  }

  redact (line: string): string {
    return this.#secrets.reduce((text, secret) => text.replaceAll(secret, '[redacted]'), line)
  }
}
