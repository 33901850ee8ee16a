import { controllers } from '../src/controllers';
import { openApiDocument, openApiPath, routesOf } from '../src/openapi/document';
import { Operation } from '../src/openapi/operation';
import { startGateway, type TestGateway } from './harness';

type Paths = Record<
  string,
  Record<string, { operationId: string; summary: string; responses: Record<string, unknown>; requestBody?: unknown }>
>;

describe('the OpenAPI document', () => {
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await startGateway({ ATELIER_API_TOKEN: 'a-secret-token' });
  });
  afterAll(() => gateway?.stop());

  test('names exactly the routes that the running gateway has', async () => {
    const document = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as { openapi: string; paths: Paths };
    expect(document.openapi).toBe('3.1.0');
    const written = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(written.sort()).toEqual(registered(gateway).sort());
    expect(written.length).toBeGreaterThan(12);
  });

  test('every operation has its own id, a summary and the refusals that all have', () => {
    const operations = Object.values(openApiDocument(controllers).paths as Paths).flatMap((methods) =>
      Object.values(methods),
    );
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const { summary, responses } of operations) {
      expect(summary).toMatch(/\.$|\.\s/);
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['400', '401', '403']));
    }
  });

  test('bodies carry the limits that requests are checked against', () => {
    const { paths } = openApiDocument(controllers) as { paths: Paths };
    const schema = (path: string, type: string) =>
      (
        paths[path]!.post!.requestBody as {
          content: Record<
            string,
            { schema: { properties: Record<string, Record<string, unknown>>; additionalProperties: boolean } }
          >;
        }
      ).content[type]!.schema;
    const finetune = schema('/v1/finetunes', 'application/json');
    expect(finetune.properties.rank).toMatchObject({ type: 'integer', minimum: 1, default: 4 });
    expect(finetune.properties.weighting!.enum).toContain('logit_normal');
    expect(finetune.properties.recipe).toMatchObject({
      default: 'seed',
      'x-recipes': { style: { options: { rank: 16 } } },
    });
    expect(finetune.additionalProperties).toBe(false);
    expect(schema('/v1/datasets', 'multipart/form-data').properties.files).toMatchObject({ type: 'array' });
    expect(schema('/v1/images/generations', 'application/json').properties.prompt).toMatchObject({ type: 'string' });
  });

  test('a route without a description, or that does not say who may call it, is found out', () => {
    class Bare {
      secret(): void {}
    }
    Reflect.defineMetadata('path', 'secret', Bare.prototype.secret);
    Reflect.defineMetadata('method', 0, Bare.prototype.secret);
    expect(() => routesOf([Bare])).toThrow(/Bare\.secret has no @Operation/);
    const operation = Operation({ summary: 'A secret.', answer: { description: 'It.' } });
    operation(Bare.prototype, 'secret', Object.getOwnPropertyDescriptor(Bare.prototype, 'secret')!);
    expect(() => routesOf([Bare])).toThrow(/Bare\.secret has no @Needs and no @Public/);
  });
});

interface Layer {
  route?: { path: string; methods: Record<string, boolean> };
}

/** What Express itself has been told, whoever told it. */
function registered({ app }: TestGateway): string[] {
  const { router } = app.getHttpAdapter().getInstance() as { router: { stack: Layer[] } };
  return router.stack.flatMap(({ route }) =>
    route ? Object.keys(route.methods).map((method) => `${method} ${openApiPath(route.path)}`) : [],
  );
}
