import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AtelierClient, newToken, tokenLine, type Scope } from '@atelier/client';
import { eventSubjects, RunState, type MeshUser } from '@atelier/contracts';
import { ensureSeeds, Mesh, provisionMesh, publishEvent, seedFile } from '@atelier/mesh';
import { startTestNats, waitFor, type TestNats } from '@atelier/testing';
import { createGateway } from '../src/app';
import { GatewayConfig, gatewaySettings } from '../src/gateway.config';
import { postJson } from './harness';
import { receiver, status } from './receiver';

interface Hook {
  id: string;
  owner: string | null;
}
interface Tried {
  status: string;
  type: string;
  error: string;
}

describe('webhooks where NATS has users and the gateway has tokens', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atelier-webhooks-'));
  const seeds = join(folder, 'seeds');
  const file = join(folder, 'tokens');
  const refused: string[] = [];
  const made = new Map<string, { token: string; line: string }>();
  const meshes: Mesh[] = [];
  let nats: TestNats;
  let trainer: Mesh;
  let app: NestExpressApplication;
  let url: string;

  const as = async (user: MeshUser): Promise<Mesh> => {
    const credentials = { seedFile: seedFile(seeds, user) };
    const onRefused = (reason: string): void => void refused.push(`${user} ${reason}`);
    meshes.push(await Mesh.connect({ url: nats.url, name: user, user, credentials, onRefused }));
    return meshes.at(-1)!;
  };
  const writeTokens = (...names: string[]): void =>
    writeFileSync(file, names.map((name) => made.get(name)!.line).join('\n'));

  beforeAll(async () => {
    const tokens: [string, Scope][] = [
      ['ann', 'read'],
      ['bob', 'read'],
      ['drawer', 'draw'],
      ['boss', 'admin'],
    ];
    for (const [name, scope] of tokens) {
      const { token, entry } = newToken(name, [scope]);
      made.set(name, { token, line: tokenLine(entry) });
    }
    writeTokens(...made.keys());
    nats = await startTestNats({ users: ensureSeeds(seeds) });
    await provisionMesh(await as('admin'));
    trainer = await as('trainer');
    const settings = {
      ATELIER_NATS_URL: nats.url,
      ATELIER_API_TOKENS_FILE: file,
      ATELIER_WEBHOOK_RETRY_SECONDS: '0.2',
      ATELIER_SWEEP_MINUTES: '0',
    };
    app = await createGateway(new GatewayConfig(gatewaySettings.parse(settings)), await as('gateway'));
    await app.listen(0, '127.0.0.1');
    url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}/v1/webhooks`;
  });
  afterAll(async () => {
    await app?.close();
    for (const mesh of meshes) await mesh.close();
    await nats?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const bearer = (name: string) => ({ authorization: `Bearer ${made.get(name)!.token}` });
  const get = async <T>(name: string, path = ''): Promise<T> =>
    (await (await fetch(url + path, { headers: bearer(name) })).json()) as T;
  const listed = async (name: string) => (await get<{ data: Hook[] }>(name)).data;
  const tried = async (name: string, id: string) => (await get<{ data: Tried[] }>(name, `/${id}/deliveries`)).data;
  const add = async (name: string, to: string) =>
    (await (await postJson(url, { url: to }, bearer(name))).json()) as Hook;
  const tell = async (id: string) => {
    const subject = eventSubjects.run({ id, datasetId: 'd' }, 'state');
    await publishEvent(trainer, subject, { runState: { runId: id, state: RunState.RUN_STATE_FINISHED } });
  };

  test('each token has its own, sees no others and changes none; a token for admin sees all', async () => {
    const hook = await receiver(status(204));
    const [ofAnn, ofBob] = [await add('ann', hook.url), await add('bob', hook.url)];
    expect([ofAnn.owner, ofBob.owner]).toEqual(['ann', 'bob']);
    expect((await listed('ann')).map(({ id }) => id)).toEqual([ofAnn.id]);
    expect(new Set((await listed('boss')).map(({ owner }) => owner))).toEqual(new Set(['ann', 'bob']));
    const asked = async (method: string, path: string, name: string) =>
      (await fetch(`${url}/${ofBob.id}${path}`, { method, headers: bearer(name) })).status;
    for (const path of ['', '/deliveries']) expect(await asked('GET', path, 'ann')).toBe(404);
    for (const path of ['/test', '/deliveries/1/replay']) expect(await asked('POST', path, 'ann')).toBe(404);
    const gone = await fetch(`${url}/${ofBob.id}`, { method: 'DELETE', headers: bearer('ann') });
    expect(await gone.json()).toMatchObject({ deleted: false });
    expect(await asked('GET', '', 'bob')).toBe(200);
    expect(await asked('GET', '', 'boss')).toBe(200);
    expect((await postJson(url, { url: hook.url }, bearer('drawer'))).status).toBe(403);
    for (const { id } of [ofAnn, ofBob]) await fetch(`${url}/${id}`, { method: 'DELETE', headers: bearer('boss') });
    expect(await listed('boss')).toEqual([]);
    await hook.stop();
  });

  test('the gateway and the command line may do with NATS all that deliveries take, and are refused nothing', async () => {
    const hook = await receiver(status(204));
    const { id } = await add('ann', hook.url);
    await tell('run-a');
    await waitFor('it to be delivered', async () => (await tried('ann', id))[0]?.status === 'delivered');
    expect(hook.received.map(({ event }) => event.subject)).toEqual(['run-a']);

    const { webhooks } = new AtelierClient(await as('cli'));
    const byHand = await webhooks.create({ url: hook.url });
    await webhooks.test(byHand.id);
    await waitFor('the ping', async () => (await webhooks.deliveries(byHand.id)).length === 1);
    for (const each of [id, byHand.id]) expect(await webhooks.delete(each)).toBe(each);
    expect(refused).toEqual([]);
    await hook.stop();
  });

  test('one token has sixteen at most, and leaves the others theirs', async () => {
    const nowhere = 'http://127.0.0.1:9/';
    const ids: string[] = [];
    for (let nth = 0; nth < 16; nth++) ids.push((await add('ann', nowhere)).id);
    const refusal = await postJson(url, { url: nowhere }, bearer('ann'));
    expect([refusal.status, await refusal.text()]).toEqual([429, expect.stringContaining('16 webhooks of token ann')]);
    ids.push((await add('bob', nowhere)).id);
    expect(ids.every((id) => id.startsWith('webhook-'))).toBe(true);
    for (const id of ids) await fetch(`${url}/${id}`, { method: 'DELETE', headers: bearer('boss') });
  });

  test('what a token set up ends with it: nothing is sent once it was withdrawn, and it is said why', async () => {
    const hook = await receiver(status(204));
    const { id } = await add('bob', hook.url);
    writeTokens('ann', 'boss');
    await waitFor('the file to be read again', async () => {
      return (await fetch(url, { headers: bearer('bob') })).status === 401;
    });
    await tell('run-b');
    await waitFor('it to be tried', async () => (await tried('boss', id)).length === 1);
    expect((await tried('boss', id))[0]).toMatchObject({
      status: 'pending',
      error: 'token bob, which made it, was withdrawn or may not read any more: delete it',
    });
    expect(hook.received).toEqual([]);
    writeTokens('ann', 'bob', 'boss');
    await waitFor('it to go on', async () => (await tried('boss', id))[0]?.status === 'delivered');
    expect(hook.received).toHaveLength(1);
    await hook.stop();
  });
});
