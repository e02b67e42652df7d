/** Loaded before a program: as if the system was another one. */
Object.defineProperty(process, 'platform', { value: 'darwin' })
