// Reads a JSON array of otpauth URIs from standard input and writes what npm's otpauth
// makes of them, as an array of [issuer, account, secret].
import { readFileSync } from 'node:fs'
import { URI } from 'otpauth'

const parsed = JSON.parse(readFileSync(0, 'utf8')).map((uri) => {
  const { issuer, label, secret } = URI.parse(uri)
  return [issuer, label, secret.base32]
})
process.stdout.write(JSON.stringify(parsed))
