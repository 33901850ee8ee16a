import type { z } from 'zod';

/** What the OpenAPI document says of a route, beside what Nest's own decorators already say. */
export interface OperationSpec {
  summary: string;
  /** Schema of a JSON body, or of the fields of a form with files. */
  body?: {
    type: 'application/json' | 'multipart/form-data' | 'application/octet-stream';
    schema?: z.ZodType;
    /** The same as a form, with all of its parts. */
    form?: z.ZodType;
  };
  query?: z.ZodObject;
  /** The answer when all goes well. */
  answer: { status?: number; type?: string; schema?: z.ZodType; description: string };
  /** Another answer when all goes well, of another status. */
  also?: { status: number; schema: z.ZodType; description: string };
  /** Statuses of refusals worth naming, beside 400, 401 and 403. */
  refusals?: number[];
}

const OPERATION = 'atelier:operation';

export function Operation(spec: OperationSpec): MethodDecorator {
  return (_target, _key, descriptor: PropertyDescriptor) => {
    Reflect.defineMetadata(OPERATION, spec, descriptor.value as object);
  };
}

export function operationOf(handler: object): OperationSpec | undefined {
  return Reflect.getMetadata(OPERATION, handler) as OperationSpec | undefined;
}
