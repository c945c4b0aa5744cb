// The OpenAPI document, made of the routes' own schemas: who may call them, and what every refusal
// looks like, is said once, here.

import swagger, { type SwaggerTransform } from '@fastify/swagger'
import type { FastifyInstance, FastifySchema } from 'fastify'
import { reasonHeader } from '#shared/api/requests.ts'
import { ErrorBody } from '#shared/api/schemas.ts'

/** Routes that are registered after it are in the document, unless their schema hides them. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Lockstep', version },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform,
  })
}

const bytes = { description: 'The content itself', type: 'string', format: 'binary' }

const transform: SwaggerTransform = ({ schema, url, route }) => {
  const known: FastifySchema = schema ?? {}
  const response = isObject(known.response) ? known.response : { 200: bytes }
  const access = route.config?.access
  const isOpen = access === 'open' || access === 'agent'
  const isChange = !isOpen && !/^(?:GET|HEAD)$/.test(String(route.method))
  return {
    url,
    schema: {
      ...known,
      ...(isChange ? { headers: withReason(known.headers) } : {}),
      response: { ...response, default: ErrorBody },
      ...(isOpen ? { security: [] } : {}),
      // Who may call it: docs/access.md.
      'x-access': access,
    },
  }
}

/** Every change may come with the reason for it. */
function withReason(headers: unknown) {
  const known = isObject(headers) && isObject(headers['properties']) ? headers['properties'] : {}
  const description = 'Why, as percent-encoded UTF-8: for the audit trail'
  return {
    type: 'object',
    properties: { ...known, [reasonHeader]: { type: 'string', description } },
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
