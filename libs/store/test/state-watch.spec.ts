import { Run } from '@atelier/contracts';
import { StateStore, StateWatch } from '@atelier/store';
import { startTestMesh, waitFor } from '@atelier/testing';

test('a watched condition is met by what is there already, by a change, and by one after a restart of nats-server', async () => {
  const mesh = await startTestMesh();
  const runs = new StateStore(mesh.mesh, 'runs', Run);
  for (const id of ['there', 'changed', 'late'])
    await runs.create(id, Run.create({ id, cancelRequested: id === 'there' }));
  const watches = ['there', 'changed', 'late'].map((id) => new StateWatch(runs, id, (run) => run.cancelRequested));
  const cancel = (id: string) => runs.update(id, (run) => Object.assign(run, { cancelRequested: true }));
  await waitFor(() => watches[0]!.met.aborted);
  expect(watches[1]!.met.aborted).toBe(false);
  await cancel('changed');
  await waitFor(() => watches[1]!.met.aborted);
  await mesh.restartNats();
  await waitFor(() =>
    mesh.mesh.nc.rtt().then(
      () => true,
      () => false,
    ),
  );
  expect(watches[2]!.met.aborted).toBe(false);
  await cancel('late');
  await waitFor(() => watches[2]!.met.aborted, 20_000);
  await Promise.all(watches.map((watch) => watch.close()));
  await mesh.stop();
});
