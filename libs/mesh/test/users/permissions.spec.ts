// What each user may do, tried on a real nats-server: who is let in by the right values below, everybody else is refused.
import { meshUsers, type MeshUser } from '@atelier/contracts';
import { ensureSeeds, Mesh, seedFile } from '@atelier/mesh';
import { startTestNats, type TestNats } from '@atelier/testing';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const limited = meshUsers.filter((user) => user !== 'admin');
type Limited = Exclude<MeshUser, 'admin'>;

/** Subjects that somebody publishes to, and who may. */
const published: Record<string, string> = {
  // work: whoever asks for it
  'work.ingest': 'ingest trainer gateway cli',
  'work.latents': 'ingest',
  'work.prompts': 'ingest inference',
  'work.train': 'ingest latents prompts gateway cli',
  'work.generate': 'gateway cli',
  // work: whoever takes it
  '$JS.API.CONSUMER.MSG.NEXT.WORK.work-ingest': 'ingest',
  '$JS.API.CONSUMER.MSG.NEXT.WORK.work-latents': 'latents',
  '$JS.API.CONSUMER.MSG.NEXT.WORK.work-prompts': 'prompts',
  '$JS.API.CONSUMER.MSG.NEXT.WORK.work-train': 'trainer',
  '$JS.API.CONSUMER.MSG.NEXT.WORK.work-generate': 'inference',
  '$JS.ACK.WORK.work-train.1.1.1.1.0': 'trainer',
  '$JS.ACK.WORK.work-generate.1.1.1.1.0': 'inference',
  // webhooks: whoever delivers
  '$JS.ACK.EVENTS.webhook-a.1.1.1.1.0': 'gateway',
  '$JS.API.CONSUMER.LIST.EVENTS': 'gateway',
  '$JS.API.CONSUMER.CREATE.EVENTS.webhook-a.events.>': 'gateway cli',
  '$JS.API.CONSUMER.DELETE.EVENTS.webhook-a': 'inference gateway cli',
  '$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.webhook-a': '',
  'events.webhook.webhook-a.ping': 'gateway cli',
  '$KV.webhooks.webhook-a': 'gateway cli',
  '$KV.deliveries.webhook-a.7': 'gateway cli',
  '$KV.attempts.work-train.7': 'trainer',
  '$KV.attempts.work-ingest.7': 'ingest',
  'dead.work.train': 'trainer',
  'dead.work.prompts': 'prompts',
  '$JS.API.STREAM.MSG.GET.WORK': 'ingest trainer gateway cli',
  '$JS.API.STREAM.MSG.GET.EVENTS': 'gateway cli',
  // events: whoever they are of
  'events.dataset.a.state': 'ingest gateway cli',
  'events.run.a.state.b': 'ingest latents prompts trainer gateway cli',
  'events.latents.a.ready': 'latents',
  'events.prompts.a.ready': 'prompts',
  'events.generate.a.state': 'inference gateway cli',
  'events.dead.7.letter': 'ingest latents prompts trainer inference',
  '$JS.API.CONSUMER.CREATE.EVENTS.x.events.prompts.>': 'inference gateway cli',
  '$JS.API.CONSUMER.CREATE.EVENTS.x.events.run.>': 'gateway cli',
  '$JS.API.CONSUMER.CREATE.EVENTS': '',
  '$JS.API.CONSUMER.CREATE.DEAD.x.dead.work.prompts': 'inference gateway cli',
  '$JS.API.CONSUMER.CREATE.DEAD.x.dead.work.train': 'gateway cli',
  // tensors
  'tensors.latents.abc': 'latents',
  'tensors.prompts.abc': 'prompts',
  '$JS.API.DIRECT.GET.TENSORS.tensors.latents.abc': 'trainer',
  '$JS.API.DIRECT.GET.TENSORS.tensors.prompts.abc': 'trainer inference',
  '$JS.API.STREAM.PURGE.TENSORS': 'gateway cli',
  // pictures and what else is in buckets of blobs
  '$JS.API.DIRECT.GET.OBJ_pictures': 'ingest latents gateway cli',
  '$JS.API.STREAM.MSG.GET.OBJ_pictures': 'ingest latents gateway cli',
  '$JS.API.CONSUMER.CREATE.OBJ_pictures': '',
  '$JS.API.CONSUMER.CREATE.OBJ_pictures.x.$O.pictures.C.>': 'gateway cli',
  '$O.pictures.C.abc': 'ingest gateway cli',
  '$O.manifests.M.abc': 'ingest gateway cli',
  '$O.adapters.M.abc': 'trainer gateway cli',
  '$O.checkpoints.M.abc': 'trainer gateway cli',
  '$O.samples.M.abc': 'trainer inference gateway cli',
  '$JS.API.STREAM.MSG.GET.OBJ_samples': 'trainer inference gateway cli',
  '$JS.API.STREAM.MSG.GET.OBJ_checkpoints': 'trainer gateway cli',
  '$JS.API.STREAM.PURGE.OBJ_pictures': 'ingest gateway cli',
  '$JS.API.STREAM.MSG.DELETE.OBJ_pictures': 'gateway cli',
  '$JS.API.STREAM.MSG.DELETE.OBJ_checkpoints': 'trainer gateway cli',
  // states
  '$KV.datasets.a': 'ingest gateway cli',
  '$KV.runs.a': 'ingest latents prompts trainer gateway cli',
  '$KV.adapters.a': 'trainer gateway cli',
  '$KV.generations.a': 'inference gateway cli',
  '$KV.leases.cpu': 'latents prompts trainer inference',
  '$KV.encodings.a': 'ingest latents prompts gateway cli',
  '$KV.refusals.a': 'ingest latents prompts gateway cli',
  '$KV.sweeps.last': 'gateway cli',
  '$JS.API.DIRECT.GET.KV_runs.$KV.runs.a': 'ingest latents prompts trainer gateway cli',
  '$JS.API.DIRECT.GET.KV_generations.$KV.generations.a': 'trainer inference gateway cli',
  '$JS.API.STREAM.MSG.DELETE.KV_runs': 'gateway cli',
  '$JS.API.STREAM.PURGE.KV_runs': 'gateway cli',
  // calls
  'rpc.latents.status': 'ingest gateway cli',
  'rpc.trainer.status': 'gateway cli',
  'rpc.trainer.plan': 'gateway cli',
  'rpc.store.room': 'ingest latents prompts trainer inference gateway cli',
  // nobody's but the admin's
  '$JS.API.STREAM.CREATE.WORK': '',
  '$JS.API.STREAM.UPDATE.KV_runs': '',
  '$JS.API.STREAM.DELETE.TENSORS': '',
  '$JS.API.STREAM.DELETE.KV_runs': '',
  '$JS.API.STREAM.PURGE.WORK': '',
  '$JS.API.STREAM.PURGE.EVENTS': '',
  '$JS.API.STREAM.MSG.DELETE.WORK': '',
  '$JS.API.STREAM.LIST': 'gateway cli',
  '$JS.API.STREAM.SNAPSHOT.OBJ_pictures': '',
  '$JS.API.CONSUMER.CREATE.WORK.x.work.train': '',
  '$JS.API.CONSUMER.DURABLE.CREATE.WORK.x': '',
  '$JS.API.CONSUMER.DELETE.WORK.work-train': '',
  '_INBOX.gateway.abc': '',
  '$SYS.REQ.SERVER.PING': '',
  'anything.else': '',
};

const subscribed: Record<string, string> = {
  ...Object.fromEntries(limited.map((user) => [`_INBOX.${user}.abc`, user])),
  'rpc.ingest.status': 'ingest',
  'rpc.inference.status': 'inference',
  'rpc.trainer.plan': 'trainer',
  'rpc.store.room': '', // who answered it could stop all uploads
  '_INBOX.>': '',
  '>': '',
  'work.>': '',
  'work.train': '',
  'events.>': '',
  'tensors.>': '',
  '$O.pictures.>': '',
  '$KV.runs.>': '',
  '$JS.API.>': '',
  '$JS.EVENT.>': '',
};

let folder: string;
let nats: TestNats;
const meshes = new Map<Limited, { mesh: Mesh; refused: Set<string> }>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atelier-users-'));
  nats = await startTestNats({ users: ensureSeeds(folder) });
  for (const user of limited) {
    const refused = new Set<string>();
    const credentials = { seedFile: seedFile(folder, user) };
    const onRefused = (reason: string): void => void refused.add(reason);
    meshes.set(user, {
      mesh: await Mesh.connect({ url: nats.url, name: user, user, credentials, onRefused }),
      refused,
    });
  }
});
afterAll(async () => {
  for (const { mesh } of meshes.values()) await mesh.close();
  await nats.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Of those who try it, the users that nobody stops. */
async function allowed(what: 'publish to' | 'listen on', subject: string): Promise<string> {
  const able: string[] = [];
  for (const [user, { mesh, refused }] of meshes) {
    if (what === 'publish to') mesh.nc.publish(subject);
    else mesh.nc.subscribe(subject, { callback: () => undefined });
    await mesh.nc.flush(); // a refusal comes before the answer to that
    await new Promise((resolve) => setImmediate(resolve));
    if (!refused.has(`may not ${what} ${subject}`)) able.push(user);
  }
  return able.join(' ');
}

test.each(Object.entries(published))('to %s may publish: %s', async (subject, users) => {
  expect(await allowed('publish to', subject)).toBe(users);
});

test.each(Object.entries(subscribed))('to %s may listen: %s', async (subject, users) => {
  expect(await allowed('listen on', subject)).toBe(users);
});

test('what is answered comes to who asked, from who answers, and from nobody else', async () => {
  const [trainer, gateway, prompts] = [meshes.get('trainer')!, meshes.get('gateway')!, meshes.get('prompts')!];
  let inbox = '';
  trainer.mesh.nc.subscribe('rpc.trainer.plan', {
    callback: (_error, message) => {
      inbox = message.reply!;
      message.respond('yes');
    },
  });
  await trainer.mesh.nc.flush();
  expect((await gateway.mesh.nc.request('rpc.trainer.plan')).string()).toBe('yes');
  prompts.mesh.nc.publish(inbox, 'no');
  await prompts.mesh.nc.flush();
  await new Promise((resolve) => setImmediate(resolve));
  expect(prompts.refused).toContain(`may not publish to ${inbox}`);
});
