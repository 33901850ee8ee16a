import { RequestMethod, type Type } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants';
import { z } from 'zod';
import { operationOf, type OperationSpec } from './operation';

export interface Route {
  method: string;
  /** As OpenAPI writes it: /v1/datasets/{id} */
  path: string;
  handler: string;
  spec: OperationSpec;
}

const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
    details: z.record(z.string(), z.string()).optional(),
  }),
});

/** What Nest injects the controllers under that the document describes; the page that shows it is one of them. */
export const ROUTES = Symbol('ROUTES');

/** Every route of these controllers; one that does not describe itself is an error of ours, found at start. */
export function routesOf(controllers: Type[]): Route[] {
  return controllers.flatMap((controller) => {
    const prefix = String(Reflect.getMetadata(PATH_METADATA, controller) ?? '');
    const prototype = controller.prototype as Record<string, object>;
    return Object.getOwnPropertyNames(prototype).flatMap((name) => {
      const handler = prototype[name]!;
      const method = Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod | undefined;
      if (method === undefined) return [];
      const spec = operationOf(handler);
      if (!spec) throw new Error(`${controller.name}.${name} has no @Operation: say what the route is for`);
      const path = openApiPath(prefix, String(Reflect.getMetadata(PATH_METADATA, handler) ?? ''));
      return [{ method: RequestMethod[method].toLowerCase(), path, handler: name, spec }];
    });
  });
}

/** Express's /v1/pictures/*name and /v1/datasets/:id as OpenAPI's {name} and {id}. */
export function openApiPath(...parts: string[]): string {
  const joined = `/${parts
    .flatMap((part) => part.split('/'))
    .filter(Boolean)
    .join('/')}`;
  return joined.replace(/[:*](\w+)/g, '{$1}');
}

export function openApiDocument(controllers: Type[]): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routesOf(controllers)) (paths[route.path] ??= {})[route.method] = operation(route);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Atelier',
      version: '1',
      description: 'Fine-tune FLUX.1 on a folder of pictures, and draw with what it learned.',
    },
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'Only if the gateway is configured with one.' },
      },
      schemas: { Error: jsonSchema(errorSchema, 'output') },
    },
    security: [{ token: [] }, {}],
    paths,
  };
}

function operation({ method, path, handler, spec }: Route): Record<string, unknown> {
  const { status = 200, type = 'application/json', schema, description } = spec.answer;
  const keyed = WITH_KEY.has(method) ? [409, 422] : [];
  const refusals = [...new Set([400, 401, 403, ...keyed, ...(spec.refusals ?? [])])].sort();
  const error = { content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } };
  return {
    operationId: handler,
    summary: spec.summary,
    parameters: [...pathParameters(path), ...queryParameters(spec.query), ...headerParameters(method)],
    ...(spec.body && {
      requestBody: { required: true, content: { [spec.body.type]: { schema: bodySchema(spec.body) } } },
    }),
    responses: {
      [status]: {
        description,
        ...(status !== 204 && {
          content: { [type]: { schema: schema ? jsonSchema(schema, 'output') : { type: 'string' } } },
        }),
      },
      ...(spec.also && {
        [spec.also.status]: {
          description: spec.also.description,
          content: { 'application/json': { schema: jsonSchema(spec.also.schema, 'output') } },
        },
      }),
      ...Object.fromEntries(refusals.map((refusal) => [refusal, { description: REFUSALS[refusal], ...error }])),
    },
  };
}

const REFUSALS: Record<number, string> = {
  400: 'Something in the request is not valid; every bad field is named.',
  401: 'A token is needed, or the one given is wrong.',
  403: 'The Host that was asked for is none of its names, or a page of another origin may not write.',
  404: 'There is no such thing.',
  409: 'It does not go with what there already is, or a request with this Idempotency-Key is being done.',
  422: 'The Idempotency-Key was used for another request.',
  413: 'The upload is over a limit.',
  429: 'There are as many as there may be.',
  503: 'NATS cannot be reached, or the gateway is being stopped.',
  501: 'Not available in this installation.',
  504: 'It took too long.',
  507: 'The store or its disk has too little room left; the numbers are in details.',
};

function pathParameters(path: string): unknown[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

/** Methods whose requests may carry an Idempotency-Key. */
const WITH_KEY = new Set(['post', 'put', 'patch']);

function headerParameters(method: string): unknown[] {
  if (!WITH_KEY.has(method)) return [];
  const description =
    'Has the request done once within a day, however often it is sent. The answer comes again with Idempotent-Replayed: true.';
  return [
    { name: 'Idempotency-Key', in: 'header', required: false, description, schema: { type: 'string', maxLength: 255 } },
  ];
}

function queryParameters(query: z.ZodObject | undefined): unknown[] {
  if (!query) return [];
  const { properties = {} } = jsonSchema(query, 'input') as { properties?: Record<string, object> };
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema }));
}

function bodySchema({ type, schema }: NonNullable<OperationSpec['body']>): unknown {
  if (!schema) return { type: 'string', format: 'binary' };
  const fields = jsonSchema(schema, 'input') as { properties?: Record<string, unknown> };
  if (type !== 'multipart/form-data') return fields;
  return {
    ...fields,
    properties: { ...fields.properties, files: { type: 'array', items: { type: 'string', format: 'binary' } } },
  };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): unknown {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
  });
  return rest;
}
