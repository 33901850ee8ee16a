// A service that does one thing to the next ingest work, for crashes.spec.ts: node worker-process.cjs <what it does>
// <url of nats-server>. It says "begun N" when it is handed the work as attempt N. Built packages: what is tested of
// them is in the spec's own process too.
const { IngestWork, subjects } = require('@atelier/contracts');
const { done, Mesh, runWorker, workPolicies } = require('@atelier/mesh');

const [what, url] = process.argv.slice(2);
const subject = subjects.work.ingest;
const say = (text) => require('node:fs').writeSync(1, `${text}\n`); // there before the process is killed
const die = () => process.kill(process.pid, 'SIGKILL');
const forEver = () => new Promise(() => undefined);

const acts = {
  die,
  'get further and die': (context) => context.progress().then(die),
  'hear no signal': forEver,
  end: () => done,
};

workPolicies[subject].maxAttempts = 3;
void Mesh.connect({ url, name: what }).then((mesh) => {
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  const giveUp = async (message) => say(`given up ${message.datasetId}`);
  return runWorker(mesh, { subject, type: IngestWork, signal: stop.signal, giveUp }, async (_message, context) => {
    say(`begun ${context.attempt}`);
    return (await acts[what](context)) ?? forEver();
  });
});
