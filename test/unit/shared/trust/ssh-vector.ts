// What ssh-keygen (OpenSSH 9.2) made once of one key and one release; the key itself was thrown away.
//   ssh-keygen -Y sign -n lockstep-release [-O hashalg=sha256] -f KEY < PAE

/** The key's .pub file. */
export const publicLine =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGWdXjEQ7+aJVRKLrqkhYCm+xty9k+rVi7idPAc0rQSt ci@example'

/** What `ssh-keygen -lf` showed of it. */
export const fingerprint = 'SHA256:hCsgnBdM9CC2VRZOA90HB6ASt60R50Y8sCENCmSOQ+s'

/** The same key as OpenSSL writes it. */
export const publicPem = [
  '-----BEGIN PUBLIC KEY-----',
  'MCowBQYDK2VwAyEAZZ1eMRDv5olVEouuqSFgKb7G3L2T6tWLuJ08BzStBK0=',
  '-----END PUBLIC KEY-----',
].join('\n')

/** The signed payload, of the release type. */
export const payload = [
  '{"statement":1,"app":"shop","version":"1.4.0","sequence":17,"tree":"46f0e77a552d',
  'cfbcff8c5fa887274e30e6828acd0ae42605893167e672b72fb3","artifact":{"sha256":"77b0',
  'f4d3c6454736c170daaf30815b41e01a1620d9633d060f2782f76dc799f9","bytes":4096},"env',
  'ironments":["production","staging"],"expires":"2026-12-31T00:00:00Z","floor":12}',
].join('')

export const sha512Signature = [
  '-----BEGIN SSH SIGNATURE-----',
  'U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgZZ1eMRDv5olVEouuqSFgKb7G3L',
  '2T6tWLuJ08BzStBK0AAAAQbG9ja3N0ZXAtcmVsZWFzZQAAAAAAAAAGc2hhNTEyAAAAUwAA',
  'AAtzc2gtZWQyNTUxOQAAAEB9+hw4+NtBQSaxcnqK33QjDEfo2r6mwwRMjcGGasCWuoou9u',
  '3bdbATn5XuOnVjhfQgaTE566i6eLH9+jZAiZEM',
  '-----END SSH SIGNATURE-----',
].join('\n')

export const sha256Signature = [
  '-----BEGIN SSH SIGNATURE-----',
  'U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgZZ1eMRDv5olVEouuqSFgKb7G3L',
  '2T6tWLuJ08BzStBK0AAAAQbG9ja3N0ZXAtcmVsZWFzZQAAAAAAAAAGc2hhMjU2AAAAUwAA',
  'AAtzc2gtZWQyNTUxOQAAAED5Js5qQo9E8HEldTiuek7bDFf7tLhv3CdMhJdXSWoYROEGzE',
  '+PmWy8uSgFVmtNl+8unt/hulNIQKYTHRjXp68P',
  '-----END SSH SIGNATURE-----',
].join('\n')

/** Made with `-n git`. */
export const gitSignature = [
  '-----BEGIN SSH SIGNATURE-----',
  'U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgZZ1eMRDv5olVEouuqSFgKb7G3L',
  '2T6tWLuJ08BzStBK0AAAADZ2l0AAAAAAAAAAZzaGE1MTIAAABTAAAAC3NzaC1lZDI1NTE5',
  'AAAAQDIqXjozVtkql31JL/x6czsvfpfc53Sgmri96LKLVYsNmb57muVKReT4dbyh+vOD+l',
  '+g0qnUCGAGAVg5aIY6bQU=',
  '-----END SSH SIGNATURE-----',
].join('\n')
