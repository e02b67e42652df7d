/** The version of RustDesk that a peer tells: servers sign the key of a peer only where it tells one, and clients of it the same way. */
export const CLIENT_VERSION = '1.4.9'
