/** Keys of a RustDesk server: files, the option, what is signed. */
export { storeGivenPair, type GivenKey, type GivenPairInit } from './given-pair.ts'
export { RustdeskKeyError, type RustdeskKeyErrorCode } from './key-error.ts'
export { loadKeyFiles, newPair, PUBLIC_FILE, readKeyFiles, SECRET_FILE, type StoredKey } from './key-files.ts'
export { keyText, pairOfText } from './key-text.ts'
export { PeerSigner, type PeerSignerInit } from './peer-signer.ts'
export { LicenceKey, serverKey, type ServerKey, type ServerKeyInit } from './server-key.ts'
