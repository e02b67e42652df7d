/** Variables of this process, for programs that it starts. */

/** Variables with secrets of this process. */
const OWN_PREFIX = 'TUNPIPE_'

/** Whether a variable stays in this process. */
export const isSecret = (name: string): boolean => name.startsWith(OWN_PREFIX)

/** Without secrets. */
export const withoutSecrets = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => Object.fromEntries(Object.entries(env).filter(([name]) => !isSecret(name)))
