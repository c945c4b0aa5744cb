// For tap: every test file counts towards every source file. A default export, as tap demands.

import { globSync } from 'node:fs'

const sources = globSync('{shared,controller,agent,cli,systemd}/**/*.ts')

export default (): string[] => sources
