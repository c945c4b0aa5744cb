// What /proc/<pid>/mountinfo says of one mount namespace: where what is mounted. proc(5).

export interface Mount {
  /** `major:minor` of its file system. */
  readonly device: string
  /** Which directory of that file system is mounted. */
  readonly root: string
  /** Where, as the processes of the namespace see it. */
  readonly point: string
  readonly type: string
  readonly options: string
}

/** A directory by its place in its file system, which is the same in every namespace. */
export interface Place {
  readonly device: string
  readonly path: string
}

export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [front = '', back = ''] = line.split(' - ')
    const [, , device, root, point] = front.split(' ').map(unescaped)
    const [type = '', , options = ''] = back.split(' ')
    if (device === undefined || root === undefined || point === undefined) return []
    return [{ device, root, point, type, options }]
  })
}

/** @param directory an absolute real path; null where no mount has it, which cannot be */
export function placeOf(directory: string, mounts: readonly Mount[]): Place | null {
  // The deepest has it, and of two at one point the later one.
  const mount = mounts.reduce<Mount | null>(
    (best, one) =>
      isWithin(directory, one.point) && one.point.length >= (best?.point.length ?? 0) ? one : best,
    null,
  )
  if (mount === null) return null
  const below = mount.point === '/' ? directory : directory.slice(mount.point.length)
  return { device: mount.device, path: `${mount.root === '/' ? '' : mount.root}${below}` || '/' }
}

export function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}

/** White space and backslashes stand there as octal numbers. */
function unescaped(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
